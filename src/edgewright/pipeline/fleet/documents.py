"""YAML and JSON files that say what a fleet is: bounded, without keys that are given twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from edgewright.core.errors import ConfigError

MOST_BYTES = 32 << 20
MOST_VALUES = 2_000_000
"""With anchors unfolded: a hundred thousand devices with twenty values each."""
DEEPEST = 40

_FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where libyaml is there


class _Loader(_FAST):  # type: ignore[misc]
    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """YAML lets a later key silently replace an earlier one; a device must not vanish so."""
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"'{key.value}' is given twice", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_text(path: Path) -> str:
    """The file as text. ConfigError where it is not there, no text, or over `MOST_BYTES`."""
    try:
        if path.is_dir():
            raise ConfigError(f"{path} is a folder.", "Name a file in it.")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ConfigError(f"{path} is over {MOST_BYTES >> 20} MiB.", "Split it into several fleets.")
        return data.decode("utf-8")
    except FileNotFoundError:
        remedy = "Check the path; `make fleet-up` writes the inventory of the example."
        raise ConfigError(f"There is no file {path}.", remedy) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", "Check that it is a text file of yours.") from None


def parse_document(text: str, where: str) -> Any:
    """YAML, of which JSON is a part. ConfigError for what is neither, and for what unfolds to too much."""
    try:
        found = json.loads(text) if text.lstrip()[:1] == "{" else yaml.load(text, Loader=_Loader)
        _measure(found, where, [0], 0)
        return found
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigError(f"{where} is not YAML, in line {line}: {error.problem}.", "Mend that line.") from None
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{where} cannot be read: {' '.join(str(error).split())[:300]}.", "Mend it.") from None
    except RecursionError:
        raise ConfigError(f"{where} is nested too deeply.", "Write it flatter.") from None


def _measure(value: Any, where: str, count: list[int], depth: int) -> None:
    count[0] += 1
    if count[0] > MOST_VALUES or depth > DEEPEST:
        raise ConfigError(f"{where} unfolds to too many values.", "Write it without nested anchors.")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _measure(item, where, count, depth + 1)
