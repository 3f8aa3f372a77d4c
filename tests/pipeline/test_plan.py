"""Planning is pure: planted evidence in, recipes with predictions and reasons out."""

from __future__ import annotations

import pytest

from edgewright.core.facts import Facts
from edgewright.core.profile import Finding, Operator, Profile
from edgewright.core.recipe import Recipe
from edgewright.core.verdict import Estimate, Measurement, Verdict
from edgewright.pipeline.plan import Evidence, next_recipe, predict, quantisable_share


def at(ms: float, **phases: float) -> Measurement:
    e = Estimate(ms, ms, ms)
    return Measurement(e, e, e, e, Estimate(1000 / ms, 1, 1), phases=phases)


FACTS = Facts("d", "planted", peaks={"fp32": 100.0, "bf16": 200.0, "int8": 400.0})
PROFILE = Profile(
    "planted", "d", "fp32", 10_000, (Operator("c", "Conv", 8_000), Operator("k", "Concat", 2_000)),
)  # fmt: skip
EVIDENCE = Evidence(FACTS, at(12, preprocess=1.5, compute=10, postprocess=0.5), PROFILE)
OFFERS = tuple(Recipe(p, "planted", p, reason=f"{p} is offered.") for p in ("int8", "bf16", "fp32"))


def test_the_ladder_is_climbed_from_the_fastest_and_ends() -> None:
    history: list[Verdict] = []
    order = []
    while (recipe := next_recipe(OFFERS, history, EVIDENCE)) is not None:
        order.append(recipe.name)
        history.append(Verdict(recipe, "pass", ()))
    assert order == ["int8", "bf16", "fp32"]


def test_the_prediction_follows_amdahl_with_measured_peaks() -> None:
    # 8 of 10 ms is convolution, which INT8 runs 4 times as fast; the rest and what is around it stay.
    assert predict(OFFERS[0], EVIDENCE) == pytest.approx(2 + 8 / 4 + 2)
    assert predict(OFFERS[2], EVIDENCE) == pytest.approx(12)


def test_the_prediction_learns_from_what_the_family_really_took() -> None:
    made = Recipe("bf16", "planted", "bf16", predicted_latency_ms=8.0)
    history = [Verdict(made, "pass", (), measurement=at(4.0))]
    assert predict(OFFERS[0], EVIDENCE, history) == pytest.approx((2 + 8 / 4 + 2) / 2)


def test_nothing_is_predicted_without_a_profile() -> None:
    assert predict(OFFERS[0], Evidence(FACTS, at(12))) is None


def test_the_reason_cites_the_findings_that_argue_for_it_and_what_failed_before() -> None:
    findings = (Finding("convolutions", "Convolutions take 80 %", "", argues_for=("int8",)),)
    evidence = Evidence(FACTS, EVIDENCE.baseline, PROFILE, findings)
    first = next_recipe(OFFERS, [], evidence)
    assert first is not None
    assert "Convolutions take 80 %" in first.reason
    assert first.predicted_latency_ms is not None
    failed = Verdict(OFFERS[0], "fail", ("map50_95 drops +20.00 points",))
    second = next_recipe(OFFERS, [failed], evidence)
    assert second is not None
    assert "int8 did not keep the goal (map50_95 drops +20.00 points)" in second.reason


def test_the_quantisable_share_counts_convolutions_under_any_profilers_name() -> None:
    operators = (Operator("a", "aten::conv2d", 3), Operator("b", "Convolution", 3), Operator("c", "Concat", 4))
    assert quantisable_share(Profile("t", "d", "fp32", 10, operators)) == pytest.approx(0.6)


def test_planning_twice_on_the_same_evidence_gives_the_same_recipe() -> None:
    assert next_recipe(OFFERS, [], EVIDENCE) == next_recipe(OFFERS, [], EVIDENCE)
