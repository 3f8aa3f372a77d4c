"""Learning is a choice again with what the field showed; the choice itself is pure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgewright.core.config import GoalConfig
from edgewright.core.facts import Facts
from edgewright.core.recipe import Artifact, Recipe, ServiceSpec
from edgewright.core.task import TaskSpec
from edgewright.core.verdict import Decision, Estimate, Incident, Measurement, MetricResult, Verdict
from edgewright.pipeline.ladder import TargetName, TargetResult
from edgewright.pipeline.learn import COOL_DOWN_S, Lesson, cooling, open_incident, reconsider, slowdown

GOAL = GoalConfig(optimise="accuracy", latency_p95_ms=20, max_drop={"map50_95": 1})


def at(ms: float, speedup: float) -> Measurement:
    def e(value: float) -> Estimate:
        return Estimate(value, value * 0.98, value * 1.02, 8)

    return Measurement(e(ms * 0.9), e(ms), e(ms), e(ms * 1.1), e(1000 / ms), speedup=e(speedup), base="baseline")


def found() -> TargetResult:
    metric = MetricResult("map50_95", Estimate(0.5, 0.49, 0.51, 4000), drop=Estimate(0.1, 0.0, 0.2, 4000))
    recipes = [Recipe(p, "planted", p) for p in ("int8", "fp32")]
    verdicts = tuple(
        Verdict(r, "pass", (), metric, at(ms, s)) for r, ms, s in zip(recipes, (5, 15), (3, 1), strict=True)
    )
    service = ServiceSpec("planted", "planted", "fp32", TaskSpec("null"), {})
    artifacts = {r.name: Artifact(r, Path(), {}, service, 1, 0.0) for r in recipes}
    decision = Decision("t", "pass", "fp32", ())
    return TargetResult(
        TargetName("t", "planted", "local"), Facts("d", "planted"), verdicts[1], artifacts["fp32"], None,
        verdicts, artifacts, decision,
    )  # fmt: skip


INCIDENT = Incident("latency_p95_ms", 20, 30, 5, 9, "sha256:live", "p95 was 30 ms over a limit of 20 ms.")


def test_contention_that_breaks_fp32_brings_int8() -> None:
    lesson = reconsider(found(), INCIDENT, "fp32", {"int8": at(10, 3), "fp32": at(30, 1)}, GOAL)
    assert lesson.outcome == "redeployed"
    assert (lesson.was, lesson.now) == ("fp32", "int8")
    assert "p95 was 30 ms" in lesson.sentence


def test_trouble_that_has_passed_is_scaled_to_what_the_incident_saw() -> None:
    quiet = {"int8": at(5, 3), "fp32": at(15, 1)}
    assert slowdown(INCIDENT, "fp32", quiet) == 2.0
    lesson = reconsider(found(), INCIDENT, "fp32", quiet, GOAL)
    assert lesson.now == "int8"
    assert lesson.slowdown == 2.0


def test_a_race_beside_the_live_service_is_scaled_to_what_that_service_showed() -> None:
    crowded = {"int8": at(25, 3), "fp32": at(75, 1)}
    lesson = reconsider(found(), INCIDENT, "fp32", crowded, GOAL)
    assert lesson.slowdown == 30 / 75
    assert lesson.now == "int8"


def test_trouble_that_has_grown_since_the_incident_counts() -> None:
    lesson = reconsider(found(), INCIDENT, "fp32", {"int8": at(10, 3), "fp32": at(30, 1)}, GOAL, live_p95=90)
    assert lesson.slowdown == 3.0
    assert lesson.outcome == "no better candidate"


def test_no_better_candidate_is_said_when_none_keeps_the_promise() -> None:
    lesson = reconsider(found(), replace(INCIDENT, seen=90.0), "fp32", {"int8": at(30, 3), "fp32": at(90, 1)}, GOAL)
    assert lesson.outcome == "no better candidate"
    assert "no candidate keeps the goal" in lesson.sentence


def test_the_live_candidate_stays_when_it_is_still_the_best() -> None:
    lesson = reconsider(found(), INCIDENT, "int8", {"int8": at(10, 3), "fp32": at(30, 1)}, GOAL)
    assert lesson.outcome == "no better candidate"
    assert lesson.now == "int8"


def test_an_incident_is_answered_once() -> None:
    lesson = Lesson("t", "no better candidate", "", INCIDENT)
    assert open_incident([INCIDENT], [], "sha256:live") == INCIDENT
    assert open_incident([INCIDENT], [lesson], "sha256:live") is None
    assert open_incident([INCIDENT], [], "sha256:another") is None


def test_the_service_does_not_flap() -> None:
    changed = Lesson("t", "redeployed", "", wall=1000.0)
    assert cooling([changed], now=1010.0) == COOL_DOWN_S - 10
    assert cooling([changed], now=1000.0 + COOL_DOWN_S) == 0
    assert cooling([], now=0) == 0
