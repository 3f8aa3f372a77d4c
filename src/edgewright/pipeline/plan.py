"""Plan: profile, findings, facts, goal and the verdicts so far → the next recipe, with a predicted
latency and a reason. Pure: nothing is run, the same evidence gives the same plan.

The ladder and its rules are the same for every runtime family, so they live here once; a target only
says what it can build (`Target.offers`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgewright.core.facts import Facts
from edgewright.core.operator_kind import kind_of
from edgewright.core.profile import Finding, Operator, Profile
from edgewright.core.recipe import PRECISIONS, Recipe
from edgewright.core.record import Record
from edgewright.core.verdict import Measurement, Verdict

BYTES = {"int8": 1, "fp16": 2, "bf16": 2, "fp32": 4}


@dataclass(frozen=True)
class Evidence(Record):
    """What a plan may look at. `profile` is of the baseline."""

    facts: Facts
    baseline: Measurement
    profile: Profile | None = None
    findings: tuple[Finding, ...] = ()


def next_recipe(offers: Sequence[Recipe], history: Sequence[Verdict], evidence: Evidence) -> Recipe | None:
    """The next recipe worth building, or None when the ladder is done.

    Every rung that a target offers is tried: a candidate may only be chosen if it is faster than the
    more accurate ones, and that has to be measured. Rungs whose precision the device was seen not to
    execute are skipped, and those that only repair others (`only_if_failed`) while one of these stands.
    """
    tried = {verdict.recipe.name for verdict in history}
    failed = {verdict.recipe.name for verdict in history if not verdict}
    for offer in offers:
        if offer.name in tried or not failed.issuperset(offer.only_if_failed):
            continue
        predicted = predict(offer, evidence, history)
        return replace(offer, predicted_latency_ms=predicted, reason=_reason(offer, predicted, history, evidence))
    return None


def predict(recipe: Recipe, evidence: Evidence, history: Sequence[Verdict] = ()) -> float | None:
    """Milliseconds end to end, from the baseline's profile scaled by measured peaks (Amdahl), times what
    this family's candidates so far took against their own prediction. None without a profile."""
    profile, facts = evidence.profile, evidence.facts
    if profile is None or not profile.operators:
        return None
    phases = evidence.baseline.phases
    compute = phases.get("compute", evidence.baseline.p50.value)
    around = evidence.baseline.p50.value - compute
    total = sum(op.duration_us for op in profile.operators)
    if total <= 0:
        return None
    scaled = sum(op.duration_us * _ratio(op, recipe.precision, facts) for op in profile.operators)
    estimate = around + compute * scaled / total
    for verdict in reversed(history):
        made, measured = verdict.recipe.predicted_latency_ms, verdict.measurement
        if made and measured and verdict.recipe.family == recipe.family:
            return estimate * measured.p50.value / made
    return estimate


def quantisable_share(profile: Profile) -> float:
    """The fraction of time in operators that an INT8 kernel exists for."""
    total = sum(op.duration_us for op in profile.operators)
    return sum(op.duration_us for op in profile.operators if _quantisable(op)) / total if total else 0.0


def _quantisable(op: Operator) -> bool:
    return kind_of(op.type) in ("convolution", "matmul")


def _ratio(op: Operator, precision: str, facts: Facts) -> float:
    """Time of an operator in `precision` ÷ its time in fp32: by measured peaks where it is compute, by
    bytes moved where it is memory; 1 where neither is known."""
    if precision == "fp32":
        return 1.0
    size = BYTES.get(precision, 2) / 4
    if not _quantisable(op):
        return 1.0 if precision == "int8" else (1 + size) / 2
    peak, base = facts.peaks.get(precision), facts.peaks.get("fp32")
    if precision == "mixed":
        peak = facts.peaks.get("int8")
    return base / peak if peak and base else size


def _reason(recipe: Recipe, predicted: float | None, history: Sequence[Verdict], evidence: Evidence) -> str:
    said = [recipe.reason] if recipe.reason else []
    if predicted is not None:
        ratio = evidence.baseline.p50.value / predicted
        said.append(f"Predicted {predicted:.2f} ms, {ratio:.1f} times the baseline's speed.")
    for_it = [f.title for f in evidence.findings if recipe.precision in f.argues_for]
    if for_it:
        said.append("For it: " + "; ".join(for_it[:2]) + ".")
    failed = [v for v in history if not v and rung(v.recipe) < rung(recipe)]
    if failed:
        said.append(f"{failed[-1].recipe.name} did not keep the goal ({failed[-1].reasons[0]}).")
    return " ".join(said)


def rung(recipe: Recipe) -> int:
    """Place on the ladder: larger is more accurate. fp16 and bf16 share a rung."""
    name = "fp16" if recipe.precision == "bf16" else recipe.precision
    return PRECISIONS.index(name)


def by_name(verdicts: Sequence[Verdict]) -> Mapping[str, Verdict]:
    return {verdict.recipe.name: verdict for verdict in verdicts}
