"""run, from the shell: the promised JSON, the cache, the exit codes, resuming after an interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cli.conftest import Edgewright
from work import SHORT

ROW = {
    "name", "precision", "shape", "latency_ms", "latency_interval", "throughput", "speedup", "metric_name", "metric",
    "metric_interval", "size_bytes", "memory_bytes", "executed_precisions", "predicted_latency_ms", "verdict", "reason",
}  # fmt: skip


def _state(folder: Path) -> dict[Path, int]:
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
@pytest.mark.usefixtures("known_machine")
def test_a_second_run_does_no_work_and_one_setting_redoes_only_what_depends_on_it(
    edgewright: Edgewright, tiny_onnx: Path, tmp_path: Path
) -> None:
    assert edgewright("init", tiny_onnx).code == 0
    first = edgewright("run", "edgewright.yaml", "--no-deploy", "--json")
    assert first.code == 0, first.err
    result = first.json()
    assert {"run", "verdict", "targets"} <= set(result)
    (target,) = result["targets"]
    assert {"target", "simulated", "verdict", "baseline", "chosen", "candidates"} <= set(target)
    assert set(target["baseline"]) >= ROW
    for candidate in target["candidates"]:
        assert set(candidate) >= ROW
        assert 0 <= candidate["metric"] <= 1
    assert target["chosen"] in {candidate["name"] for candidate in target["candidates"]}
    assert Path(result["report"]).is_file()

    cache = tmp_path / "home" / "cache"
    before = _state(cache)
    second = edgewright("run", "edgewright.yaml", "--no-deploy", "--json")
    assert second.code == 0, second.err
    assert _state(cache) == before
    assert second.json()["targets"] == result["targets"]

    text = (tmp_path / "edgewright.yaml").read_text()
    (tmp_path / "edgewright.yaml").write_text(text.replace("# size_mb: 10", "size_mb: 10"))
    assert edgewright("run", "edgewright.yaml", "--no-deploy", "--json").code == 0
    kept = _state(cache)
    for stage in ("load", "build", "artifact", "race", "profile", "probe"):
        assert {p for p in before if p.is_relative_to(cache / stage)} == {
            p for p in kept if p.is_relative_to(cache / stage)
        }, f"{stage} was done again"


@pytest.mark.slow
@pytest.mark.usefixtures("known_machine")
def test_an_impossible_goal_ends_with_1_and_the_nearest_candidate(
    edgewright: Edgewright, tiny_onnx: Path, tmp_path: Path
) -> None:
    (tmp_path / "e.yaml").write_text("model: tiny.onnx\ngoal: {latency_p95_ms: 0.000001}\n")
    said = edgewright("run", "e.yaml", "--json")
    assert said.code == 1, said.err
    (target,) = said.json()["targets"]
    assert (target["verdict"], target["chosen"]) == ("fail", "")
    assert target["nearest"] and "p95" in target["distance"]
    assert edgewright("status", "--json").json()["devices"] == [] or not any(
        device["running"] for device in edgewright("status", "--json").json()["devices"]
    )


@pytest.mark.slow
@pytest.mark.usefixtures("known_machine")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_goes_on_where_it_was(
    sign: signal.Signals, edgewright: Edgewright, tiny_onnx: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    child = subprocess.Popen(
        [sys.executable, "-c", SHORT, "run", str(tiny_onnx), "--no-deploy"],
        cwd=tmp_path, env={**os.environ, "EDGEWRIGHT_HOME": str(home)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 240
    while not list(home.glob("cache/artifact/*.json")) and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.05)
    child.send_signal(sign)
    _, err = child.communicate(timeout=60)
    if sign == signal.SIGINT:
        assert child.returncode == 130, err
        assert "Interrupted" in err and "Traceback" not in err
    finished = {p: n for p, n in _state(home / "cache").items() if p.suffix == ".json"}
    said = edgewright("run", tiny_onnx, "--no-deploy", "--json")
    assert said.code == 0, said.err
    now = _state(home / "cache")
    assert all(now.get(p) == n for p, n in finished.items()), "a stored result was made again"
