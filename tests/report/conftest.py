"""A planted run for the report's tests: figures made up, shaped like those of a YOLOv5n on two cores."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgewright.core.facts import Facts
from edgewright.core.profile import Finding, MemoryPoint, Operator, Profile, Span
from edgewright.core.recipe import Recipe
from edgewright.core.verdict import Decision, Estimate, Incident, Measurement, MetricResult, Verdict
from edgewright.report import DataSummary, ModelSummary, ReleaseSummary, RunReport, TargetReport

HOSTILE = "<script>document.title='run by a name'</script><img src=x onerror=\"document.title='run'\">'\"]]>"


def estimate(value: float, by: float = 0.05) -> Estimate:
    return Estimate(value, value * (1 - by), value * (1 + by), 80)


def measurement(ms: float, base_ms: float, precision: str) -> Measurement:
    return Measurement(
        p50=estimate(ms),
        p90=estimate(ms * 1.1),
        p95=estimate(ms * 1.2),
        p99=estimate(ms * 1.4),
        throughput=estimate(1000 / ms),
        phases={"preprocess": ms * 0.05, "compute": ms * 0.9, "postprocess": ms * 0.05},
        memory_bytes=150 << 20,
        executed={precision: 0.9, "fp32": 0.1} if precision != "fp32" else {"fp32": 1.0},
        speedup=estimate(base_ms / ms) if ms != base_ms else None,
        base="planted-base" if ms != base_ms else "",
    )


def verdict(name: str, precision: str, ms: float, metric: float, said: str, base_ms: float = 100.0) -> Verdict:
    drop = Estimate((0.3338 - metric) * 100, (0.3338 - metric) * 100 - 0.4, (0.3338 - metric) * 100 + 0.4, 128)
    return Verdict(
        recipe=Recipe(name, "planted", precision, predicted_latency_ms=ms * 0.9 if ms != base_ms else None),
        verdict=said,
        reasons=(f"map50_95 drops {drop.value:+.2f} points ({drop.low:+.2f} to {drop.high:+.2f}, limit 0.5)",),
        metric=MetricResult("map50_95", estimate(metric, 0.08), drop=drop if ms != base_ms else None),
        measurement=measurement(ms, base_ms, precision),
        size_bytes=7_340_032,
        build_seconds=12.5,
    )


@pytest.fixture
def profile() -> Profile:
    """A planted profile of four operators with a timeline and memory."""
    operators = (
        Operator(
            "/model.0/Conv", "Conv", 6000.0, inputs=((1, 3, 64, 64), (16, 3, 3, 3)), outputs=((1, 16, 64, 64),),
            dtype="fp32", flops=3.5e6, bytes=3e5, share=0.6, efficiency=0.42, bound="compute", kernel="planted",
        ),
        Operator("/model.1/Concat", "Concat", 2500.0, outputs=((1, 32, 64, 64),), dtype="fp32", share=0.25),
        Operator("/model.2/Conv", "Conv", 1500.0, outputs=((1, 8, 64, 64),), dtype="fp32", efficiency=1.7),
        Operator("/output", "Result", 0.0),
    )  # fmt: skip
    return Profile(
        tool="planted",
        device="planted",
        precision="fp32",
        total_us=10_400.0,
        operators=operators,
        timeline=(
            Span("/model.0/Conv", "Conv", 0.0, 6000.0),
            Span("/model.1/Concat", "Concat", 6100.0, 2500.0),
            Span("/model.2/Conv", "Conv", 8800.0, 1500.0, track="second"),
        ),
        memory=(MemoryPoint(0.0, 1 << 20, "weights"), MemoryPoint(6000.0, 5 << 20, "/model.1/Concat")),
        phases={"preprocess": 900.0, "compute": 10_000.0, "postprocess": 300.0},
        iterations=20,
    )


@pytest.fixture
def run(profile: Profile) -> RunReport:
    """A planted run with one target, a baseline and three candidates."""
    base = verdict("planted-base", "fp32", 100.0, 0.3338, "pass")
    chosen = verdict("planted-int8", "int8", 30.0, 0.331, "undecided")
    candidates = (
        chosen,
        verdict("planted-broken", "int8", 28.0, 0.21, "fail"),
        verdict("planted-bf16", "bf16", 52.0, 0.3331, "pass"),
        Verdict(Recipe("planted-unbuilt", "planted", "fp16"), "fail", (), error="The compiler refused node 7."),
    )
    finding = Finding(
        "convolutions", "Convolutions take 75 % of the time", "2 convolutions take 75 % of the time.", "info", 0.75,
        ({"operator": "/model.0/Conv", "duration_us": 6000.0, "share": 0.6, "efficiency": 0.42},), ("int8",),
        "Use INT8.",
    )  # fmt: skip
    target = TargetReport(
        name="planted",
        facts=Facts("local", "planted", cores=2, threads=2, memory=8 << 30, peaks={"fp32": 118.0}, bandwidth=13.2),
        baseline=base,
        candidates=candidates,
        decision=Decision(
            "planted",
            "undecided",
            "planted-int8",
            (
                "planted-int8 is chosen for latency: 30.00 ms, 3.33 (3.17 to 3.50) times the speed of the baseline, at "
                "a drop of 0.28 (-0.12 to 0.68) points of map50_95; its verdict is undecided and was accepted.",
                "planted-bf16 keeps the goal too, but planted-int8 is better for latency (1.73 times its speed).",
            ),
            ("planted-int8", "planted-bf16", "planted-base"),
        ),
        profiles={"planted-base": profile, "planted-int8": replace(profile, precision="int8", timeline=(), memory=())},
        findings=(finding,),
        sweeps={
            "planted-base": tuple(replace(measurement(100.0, 100.0, "fp32"), batch=b) for b in (1, 4, 8)),
            "planted-int8": tuple(replace(measurement(30.0, 100.0, "int8"), batch=b) for b in (1, 4, 8)),
        },
        release=ReleaseSummary(7, "ab" * 32, "live", "local", "http://127.0.0.1:8080", 5_300_000),
        incidents=(Incident("latency_p95_ms", 40.0, 61.0, 12, 19, "7", "p95 was 61 ms against 40 ms for 8 readings."),),
    )
    return RunReport(
        run="planted-run",
        name="planted-detector",
        created="2026-12-01T09:41:12+00:00",
        verdict="undecided",
        task="detection",
        model=ModelSummary(
            "planted-detector", "planted.pt", "cd" * 32, 1_867_405, 4.485e9, 7_500_000, ("images 1×3×64×64",)
        ),
        targets=(target,),
        goal={"optimise": "latency", "max_drop": {"map50_95": 0.5}, "latency_p95_ms": 60.0},
        data=(DataSummary("calibration", "train", 128, False), DataSummary("validation", "val", 128, True)),
        calibration=(Finding("few", "Calibration has few samples", "128 are few.", "warning", remedy="Add some."),),
        digests={"model": "cd" * 32},
        versions={"edgewright": "0.1.0", "onnxruntime": "1.31.1"},
        seconds=218.4,
    )


@pytest.fixture
def hostile(run: RunReport) -> RunReport:
    """The same run with markup wherever a model file, a dataset or a device can put text."""
    target = run.targets[0]
    bad = dict.fromkeys(("name", "type", "dtype", "kernel", "bound"), HOSTILE)
    profile = replace(
        target.profiles["planted-base"],
        tool=HOSTILE,
        notes=(HOSTILE,),
        operators=tuple(replace(operator, **bad) for operator in target.profiles["planted-base"].operators),
        timeline=tuple(
            Span(HOSTILE, HOSTILE, span.start_us, 9.0, HOSTILE) for span in target.profiles["planted-base"].timeline
        ),
        memory=(MemoryPoint(0.0, 7, HOSTILE), MemoryPoint(3.0, 9, HOSTILE)),
    )
    finding = Finding(HOSTILE, HOSTILE, HOSTILE, HOSTILE, 0.5, ({HOSTILE: HOSTILE},), (HOSTILE,), HOSTILE)
    renamed = replace(target.candidates[0], recipe=replace(target.candidates[0].recipe, name=HOSTILE), error=HOSTILE)
    decision = replace(target.decision, chosen=HOSTILE, sentences=(HOSTILE,), pareto=(HOSTILE, "planted-bf16"))
    return replace(
        run,
        name=HOSTILE,
        task=HOSTILE,
        verdict=HOSTILE,
        created=HOSTILE,
        model=replace(run.model, source=HOSTILE, inputs=(HOSTILE,), notes=(HOSTILE,)),
        notes=(HOSTILE,),
        digests={HOSTILE: HOSTILE},
        versions={HOSTILE: HOSTILE},
        goal={HOSTILE: HOSTILE, "max_drop": {HOSTILE: HOSTILE}},
        calibration=(finding,),
        data=(DataSummary(HOSTILE, HOSTILE, 1, True),),
        targets=(
            replace(
                target,
                name=HOSTILE,
                facts=replace(target.facts, processor=HOSTILE, isa=(HOSTILE,), runtimes={HOSTILE: HOSTILE}),
                candidates=(renamed, *target.candidates[1:]),
                decision=decision,
                profiles={HOSTILE: profile},
                findings=(finding,),
                sweeps={HOSTILE: target.sweeps["planted-int8"]},
                release=replace(target.release, state=HOSTILE, url=f"javascript:{HOSTILE}") if target.release else None,
            ),
        ),
    )
