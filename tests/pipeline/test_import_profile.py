"""Imported profiles: the schema, the findings, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgewright.core.errors import InputError
from edgewright.pipeline.import_profile import ImportResult, import_profile


def test_a_folder_of_captures_is_one_profile_each_with_findings(shared_dir: Path) -> None:
    result = import_profile(shared_dir / "captures" / "cann")
    assert result.family == "cann" and len(result.profiles) == 4
    by_tool = {view.recipe: view for view in result.profiles}
    view = by_tool["torch_npu on NPU 0, pt_standalone"]
    assert {finding.rule for finding in view.findings} >= {"gaps", "matmuls", "memory_bound"}
    assert sum(operator.share for operator in view.profile.operators) == pytest.approx(1)
    again = ImportResult.from_json(json.loads(json.dumps(result.to_json())))
    assert [v.recipe for v in again.profiles] == [v.recipe for v in result.profiles]


@pytest.mark.parametrize("make", ["nothing", "empty", "strangers", "a stranger"])
def test_what_is_no_capture_is_refused(tmp_path: Path, make: str) -> None:
    path = tmp_path / "capture"
    if make in ("empty", "strangers"):
        path.mkdir()
    if make == "strangers":
        (path / "readme.txt").write_text("nothing here")
    if make == "a stranger":
        path.write_text("nothing here")
    with pytest.raises(InputError) as refused:
        import_profile(path)
    assert str(path) in refused.value.message and refused.value.remedy


def test_a_cut_file_is_refused_by_name(shared_dir: Path, tmp_path: Path) -> None:
    whole = (shared_dir / "captures" / "cann" / "pt_standalone_trace_view.json").read_bytes()
    (tmp_path / "trace_view.json").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"trace_view\.json is damaged"):
        import_profile(tmp_path)
