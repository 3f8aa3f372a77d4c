"""`edgewright profile --import`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Edgewright


def test_captures_are_shown_with_findings_and_limits(edgewright: Edgewright, shared_dir: Path) -> None:
    said = edgewright("profile", "--import", shared_dir / "captures" / "cann")
    assert said.code == 0, said.err
    for words in ("pt_standalone", "Nothing computes for 75 %", "Not supported: transfers", "MatMulV3"):
        assert words in said.out


def test_json_is_one_object(edgewright: Edgewright, shared_dir: Path) -> None:
    said = edgewright("profile", "--import", shared_dir / "captures" / "cann", "--json")
    assert said.code == 0, said.err
    found = said.json()
    assert found["family"] == "cann" and len(found["profiles"]) == 4
    assert all({"profile", "findings", "facts"} <= set(view) for view in found["profiles"])


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--import", "nowhere"], "nowhere"),
        (["--import", "."], ". is empty"),
        (["--import", ".", "model.onnx"], "--import"),
        ([], "WHAT"),
    ],
)
def test_what_cannot_be_imported_exits_with_2(edgewright: Edgewright, words: list[str], named: str) -> None:
    said = edgewright("profile", *words)
    assert said.code == 2 and named in said.err and "Traceback" not in said.err


def test_export_code_profile_writes_the_scripts(edgewright: Edgewright, tiny_onnx: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text("model: tiny.onnx\n")
    said = edgewright("export-code", "profile", "tiny.yaml", "-o", "scripts", "--json")
    assert said.code == 0, said.err
    told = said.json()
    assert told["kind"] == "profile" and "profile_om.sh" in told["files"]
    assert any("no PyTorch program" in note for note in told["notes"])
    assert (tmp_path / "scripts" / "profile_npu.py").is_file()
