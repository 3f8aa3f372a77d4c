"""The JSON of `run --json` is a promise: other people's programs read it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from edgewright.core.facts import Facts
from edgewright.core.recipe import Artifact, EngineSpec, Port, Recipe, ServiceSpec
from edgewright.core.task import TaskSpec
from edgewright.core.verdict import Decision, Estimate, Measurement, MetricResult, Verdict
from edgewright.pipeline.ladder import TargetName, TargetResult
from edgewright.pipeline.result import RunResult, summarise, worst

PROMISED = {
    "name", "precision", "shape", "latency_ms", "latency_interval", "throughput", "speedup", "metric_name", "metric",
    "metric_interval", "size_bytes", "memory_bytes", "executed_precisions", "predicted_latency_ms", "verdict", "reason",
}  # fmt: skip


def found(verdict: str = "pass") -> TargetResult:
    e = Estimate(10.0, 9.0, 11.0, 8)
    measured = Measurement(e, e, e, e, e, memory_bytes=1, executed={"int8": 0.9, "bf16": 0.1}, speedup=e, base="b")
    metric = MetricResult("map50_95", Estimate(0.33, 0.30, 0.36, 128), drop=Estimate(0.2, -1, 1.4, 128))
    int8 = Recipe("int8", "planted", "int8", predicted_latency_ms=9.5)
    port = Port("image", "images", "float32", (1, 3, 640, 640))
    service = ServiceSpec("m", "planted", "fp32", TaskSpec("null"), {"main": EngineSpec("m", {}, (port,))})
    base = Recipe("pytorch-fp32", "torch", "fp32")
    return TargetResult(
        target=TargetName("local", "planted", "local"),
        facts=Facts("local", "planted"),
        baseline=Verdict(base, "pass", ("the reference",), replace(metric, drop=None), replace(measured, speedup=None)),
        baseline_artifact=Artifact(base, Path(), {}, service, 1, 0.0),
        profile=None,
        verdicts=(Verdict(int8, verdict, ("why",), metric, measured, 5), Verdict(int8, "fail", ("no",), error="no")),
        artifacts={},
        decision=Decision("local", verdict, "int8" if verdict != "fail" else "", ("chosen",)),
    )


def test_every_promised_field_is_there_and_json_can_say_it() -> None:
    result = RunResult("run", "pass", (summarise(found(), None),), "report.html")
    data = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert {"run", "verdict", "targets"} <= set(data)
    target = data["targets"][0]
    assert {"target", "simulated", "verdict", "baseline", "chosen", "candidates"} <= set(target)
    for row in (target["baseline"], *target["candidates"]):
        assert set(row) >= PROMISED
    first = target["candidates"][0]
    assert first["shape"] == [1, 3, 640, 640]
    assert first["metric"] == 0.33
    assert first["latency_interval"] == [9.0, 11.0]
    assert target["chosen"] == first["name"]


def test_what_could_not_be_measured_has_nulls_not_zeros() -> None:
    broken = summarise(found(), None).candidates[1]
    assert broken.latency_ms is None
    assert broken.metric is None
    assert broken.memory_bytes is None
    assert broken.reason == "no"


def test_a_record_comes_back_from_its_json() -> None:
    result = RunResult("run", "pass", (summarise(found(), None),), "report.html")
    assert RunResult.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_undecided_exits_0_and_fail_exits_1() -> None:
    for verdict, code in (("pass", 0), ("undecided", 0), ("fail", 1)):
        assert RunResult("run", verdict, (), "").exit_code == code
    assert worst(["pass", "undecided"]) == "undecided"
    assert worst(["pass", "fail", "undecided"]) == "fail"
