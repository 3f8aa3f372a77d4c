"""Judging and choosing, on planted figures: pure functions, so every rule is tried without a runtime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgewright.core.config import GoalConfig
from edgewright.core.recipe import Artifact, Recipe, ServiceSpec
from edgewright.core.task import TaskSpec
from edgewright.core.verdict import Estimate, Measurement, MetricResult, Verdict
from edgewright.pipeline.choose import accepted, choose, front
from edgewright.pipeline.judge import gate, judge


def measured(ms: float, speedup: float, spread: float = 0.03) -> Measurement:
    def around(value: float) -> Estimate:
        return Estimate(value, value * (1 - spread), value * (1 + spread), 8)

    return Measurement(
        around(ms), around(ms * 1.1), around(ms * 1.2), around(ms * 1.4), around(1000 / ms),
        memory_bytes=100 << 20, speedup=around(speedup), base="baseline",
    )  # fmt: skip


def metric(value: float, drop: float, half: float, n: int = 2000) -> MetricResult:
    return MetricResult(
        "map50_95", Estimate(value, value - 0.01, value + 0.01, n), drop=Estimate(drop, drop - half, drop + half, n)
    )


def candidate(
    precision: str, ms: float, speedup: float, drop: float = 0.0, half: float = 0.1, goal: GoalConfig | None = None
) -> Verdict:
    goal = goal or GoalConfig(max_drop={"map50_95": 0.5})
    recipe = Recipe(precision, "planted", precision)
    service = ServiceSpec("planted", "planted", precision, TaskSpec("null"), {})
    artifact = Artifact(recipe, Path(), {}, service, 4 << 20, 1.0)
    metrics = {"map50_95": metric(0.5 - drop / 100, drop, half)}
    return judge(artifact, metrics, measured(ms, speedup), goal, goal.max_drop)


def test_the_fastest_that_keeps_the_goal_is_chosen() -> None:
    decision = choose("t", [candidate("int8", 3, 4), candidate("bf16", 6, 2), candidate("fp32", 9, 1.3)], GoalConfig())
    assert decision.chosen == "int8"
    assert decision.verdict == "pass"
    assert "4.00" in decision.sentences[0]


def test_int8_that_breaks_accuracy_gives_way_to_half() -> None:
    verdicts = [candidate("int8", 3, 4, drop=20), candidate("bf16", 6, 2), candidate("fp32", 9, 1.3)]
    decision = choose("t", verdicts, GoalConfig())
    assert decision.chosen == "bf16"
    assert any("int8 fails" in s and "20.00" in s for s in decision.sentences)


def test_int8_that_is_slower_is_never_chosen() -> None:
    verdicts = [candidate("int8", 12, 0.9), candidate("fp32", 9, 1.3)]
    decision = choose("t", verdicts, GoalConfig())
    assert decision.chosen == "fp32"
    assert any("not measurably faster than fp32" in s for s in decision.sentences)


def test_int8_within_the_noise_of_fp32_is_not_chosen() -> None:
    verdicts = [candidate("int8", 8.9, 1.31), candidate("fp32", 9, 1.3)]
    assert choose("t", verdicts, GoalConfig()).chosen == "fp32"


def in_rounds(verdict: Verdict, rounds: list[float]) -> Verdict:
    assert verdict.measurement is not None
    return replace(verdict, measurement=replace(verdict.measurement, round_p50=tuple(rounds)))


def test_a_gain_in_every_round_counts_though_the_machine_swayed_more_than_it() -> None:
    swaying = [10.0, 30.0, 12.0, 45.0, 11.0, 25.0, 60.0, 10.0]
    int8 = in_rounds(candidate("int8", 6, 2.0), [0.7 * ms for ms in swaying])
    bf16 = in_rounds(candidate("bf16", 9, 1.9), swaying)
    assert choose("t", [int8, bf16], GoalConfig()).chosen == "int8"


def test_slower_int8_is_not_chosen_for_size_either() -> None:
    verdicts = [candidate("int8", 12, 0.9), candidate("fp32", 9, 1.3)]
    assert choose("t", verdicts, GoalConfig(optimise="size")).chosen == "fp32"


def test_optimising_accuracy_takes_the_most_accurate_that_keeps_the_limit() -> None:
    goal = GoalConfig(optimise="accuracy", latency_p95_ms=8, max_drop={"map50_95": 0.5})
    verdicts = [candidate(p, ms, s, goal=goal) for p, ms, s in (("int8", 3, 4), ("bf16", 6, 2), ("fp32", 9, 1.3))]
    assert choose("t", verdicts, goal).chosen == "bf16"


def test_an_impossible_goal_names_the_nearest_and_the_distance() -> None:
    goal = GoalConfig(latency_p95_ms=1, max_drop={"map50_95": 0.5})
    verdicts = [candidate("int8", 3, 4, goal=goal), candidate("fp32", 9, 1.3, goal=goal)]
    decision = choose("t", verdicts, goal)
    assert not accepted(decision)
    assert decision.verdict == "fail"
    assert decision.nearest == "int8"
    assert "3.60 ms against 1 ms" in decision.distance
    assert "260 % over" in decision.distance


def test_too_few_samples_are_undecided_and_say_how_many_would_do() -> None:
    verdict, reason, result = gate(metric(0.33, 0.2, 1.3, n=128), 0.5)
    assert verdict == "undecided"
    assert result.needed_samples is not None
    assert result.needed_samples > 1000
    assert "would decide" in reason


def test_undecided_is_accepted_by_default_and_falls_back_when_told() -> None:
    few = candidate("int8", 3, 4, drop=0.2, half=1.3)
    assert few.verdict == "undecided"
    decision = choose("t", [few, candidate("fp32", 9, 1.3)], GoalConfig())
    assert decision.chosen == "int8"
    assert decision.verdict == "undecided"
    careful = GoalConfig(max_drop={"map50_95": 0.5}, undecided="fallback")
    assert candidate("int8", 3, 4, drop=0.2, half=1.3, goal=careful).verdict == "fail"


def test_undecided_with_a_point_estimate_over_the_limit_is_not_taken() -> None:
    assert candidate("int8", 3, 4, drop=0.8, half=1.3).verdict == "fail"


def test_a_candidate_that_could_not_be_built_is_named_and_never_chosen() -> None:
    broken = Verdict(Recipe("int8", "planted", "int8"), "fail", ("it could not be built or run: x",), error="x")
    decision = choose("t", [broken, candidate("fp32", 9, 1.3)], GoalConfig())
    assert decision.chosen == "fp32"
    assert any("could not be measured" in s for s in decision.sentences)


def test_the_front_keeps_only_what_nobody_beats() -> None:
    verdicts = [candidate("int8", 3, 4, drop=0.3), candidate("bf16", 10, 1.0, drop=0.1), candidate("fp32", 9, 1.3)]
    assert [v.recipe.name for v in front(verdicts)] == ["int8", "fp32"]


def test_a_variant_that_is_not_measurably_faster_loses_to_what_it_varies() -> None:
    plain, other = candidate("int8", 3, 4.0), candidate("int8", 2.98, 4.02)
    variant = replace(other, recipe=replace(other.recipe, name="int8-threads1"))
    decision = choose("t", [plain, variant], GoalConfig())
    assert decision.chosen == "int8"
    assert "int8-threads1 is passed over: it is not measurably faster than int8, which is plainer." in (
        decision.sentences
    )


def test_int8_of_which_nothing_executed_in_int8_is_none() -> None:
    recipe = Recipe("int8", "planted", "int8", quantiser={"kind": "static"})
    service = ServiceSpec("planted", "planted", "int8", TaskSpec("null"), {})
    artifact = Artifact(recipe, Path(), {}, service, 4 << 20, 1.0)
    figures = {"map50_95": metric(0.5, 0.0, 0.1)}
    goal = GoalConfig(max_drop={"map50_95": 0.5})

    def verdict_of(**executed: float) -> Verdict:
        return judge(artifact, figures, replace(measured(3, 4), executed=executed), goal, goal.max_drop)

    assert verdict_of(fp32=1.0).verdict == "fail"
    assert "nothing of it executed in INT8 (fp32 100%)" in verdict_of(fp32=1.0).reasons
    assert verdict_of(int8=0.5, fp16=0.5).verdict == "pass"
    unknown = verdict_of()
    assert unknown.verdict == "pass" and any("not known on this device" in reason for reason in unknown.reasons)
