"""The schema and the page say what the configuration accepts."""

from __future__ import annotations

from pathlib import Path

from edgewright.core.config import Config
from edgewright.core.schema import json_schema, markdown


def test_the_page_in_docs_is_the_one_generated(root: Path) -> None:
    assert (root / "docs/configuration.md").read_text(encoding="utf-8") == markdown(), "run `make docs`"


def test_every_key_of_every_section_is_explained() -> None:
    def missing(section: dict, name: str) -> list[str]:
        return [f"{name}.{key}" for key, value in section["properties"].items() if not value.get("description")]

    schema = json_schema()
    assert [m for name, part in schema["$defs"].items() for m in missing(part, name)] == []
    assert set(schema["properties"]) == set(Config.model_fields)


def test_short_forms_are_in_the_schema() -> None:
    schema = json_schema()
    assert {"type": "string"} in schema["properties"]["model"]["anyOf"]
    assert {"type": "string"} in schema["$defs"]["DataConfig"]["properties"]["validation"]["anyOf"]
    assert schema["$defs"]["DataSource"]["properties"]["from"]
