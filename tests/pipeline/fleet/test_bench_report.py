"""What `make bench-fleet` makes of its figures: goals are judged, and the table stands in the README."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def report(root: Path) -> Any:
    spec = importlib.util.spec_from_file_location("fleet_report", root / "benchmarks" / "fleet_report.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _told(report: Any, *, late_by: float = 80.0, failing: str = "live", sent: int = 7_000) -> dict[str, Any]:
    """Four devices: one dead, one slow."""

    def row(state: str, after_s: float, unchanged: bool = False) -> dict[str, Any]:
        return {"state": state, "after_s": after_s, "attempts": 1, "unchanged": unchanged, "detail": ""}

    devices = {
        "a": row("live", 2.0, True),
        "b": row(failing, 3.0),
        "slow": row("live", 40.0),
        "dead": row("offline", 83.0),
    }
    found = {"rollout_s": 3.0 + late_by, "hub_cpu_s": 2.0, "hub_peak_mb": 100.0, "devices": devices}
    step = report.of_groups(found, {"a": sent, "b": 900_000, "slow": 900_000}, ["dead"], ["slow"])
    simulated = {
        "SIMULATED": True,
        "devices": 4,
        "dead": 1,
        "slow": 1,
        "steps": [{"name": "x", "wall_s": 90.0, **step}],
    }
    return {"simulated": simulated, "real": {"SIMULATED": False, "devices": 0, "steps": []}}


def test_goals_that_are_kept_are_told_with_what_was_found(report: Any) -> None:
    goals = report.judged(_told(report), 81.0)
    assert all(goal["kept"] for goal in goals)
    assert {goal["goal"]: goal["found"] for goal in goals} == {
        "hub_cpu_s": 2.0, "hub_peak_mb": 100.0, "unchanged_bytes": 7_000, "others_live": 2, "dead_offline": 1,
        "tail_s": 80.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("how", "goal"),
    [({"late_by": 200.0}, "tail_s"), ({"failing": "failed"}, "others_live"), ({"sent": 10_001}, "unchanged_bytes")],
)
def test_a_goal_that_is_missed_is_told(report: Any, how: dict[str, Any], goal: str) -> None:
    told = _told(report, **how)
    missed = [found["goal"] for found in report.judged(told, 81.0) if not found["kept"]]
    assert missed == [goal]
    assert report.verdicts({"goals": report.judged(told, 81.0)}).count("MISSED") == 1


def test_the_table_is_put_into_its_place_in_the_readme(report: Any, root: Path, tmp_path: Path) -> None:
    copy = shutil.copy(root / "benchmarks" / "README.md", tmp_path / "README.md")
    report.fill(Path(copy), _told(report))
    text = Path(copy).read_text()
    assert "| x | 4 SIMULATED | 3 (0) | 1 | 0 | 90.0 | 2.0 | 100 | 453,500 (900,000) |" in text
    assert text.count("SIMULATED |") == 1 and "## Deltas" in text
