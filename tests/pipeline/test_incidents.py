"""Incidents: a breach that lasts is told once; noise and too few samples are not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest

from edgewright.core.verdict import Incident, Reading
from edgewright.device import signals
from edgewright.device.golden import reference_of
from edgewright.pipeline.incidents import DRIFT_SAMPLES, Detector, chance, drift_references


def reading(
    seq: int, p95: float = 5.0, count: int = 10, errors: int = 0, memory_mb: float = 50, **more: Any
) -> Reading:
    return Reading(seq, "b", 0.0, float(seq), 1.0, count, errors, p95 / 2, p95, p95, int(memory_mb * (1 << 20)), **more)


def feed(detector: Detector, readings: Iterable[Reading]) -> list[Incident]:
    return [incident for r in readings for incident in detector.feed(r)]


def test_latency_over_its_limit_for_long_is_one_incident() -> None:
    detector = Detector({"latency_p95_ms": 20}, {}, "abc")
    assert feed(detector, [reading(n, 10) for n in range(1, 10)]) == []
    found = feed(detector, [reading(n, 30) for n in range(10, 30)])
    assert [(i.promise, i.limit, i.seen, i.release) for i in found] == [("latency_p95_ms", 20, 30, "abc")]
    assert found[0].first_seq >= 9 and found[0].last_seq <= 15 and "30.0 ms" in found[0].sentence


def test_a_single_slow_window_or_a_flickering_one_is_no_incident() -> None:
    detector = Detector({"latency_p95_ms": 20}, {}, "abc")
    assert feed(detector, [reading(n, 500 if n % 7 == 0 else 10) for n in range(1, 60)]) == []
    assert feed(detector, [reading(n, 21 if n % 2 else 19) for n in range(60, 120)]) == []


def test_few_inferences_wait_until_there_are_enough() -> None:
    detector = Detector({"latency_p95_ms": 20}, {}, "abc")
    assert feed(detector, [reading(n, 30, count=1) for n in range(1, 29)]) == []
    assert len(feed(detector, [reading(n, 30, count=1) for n in range(29, 40)])) == 1


def test_idle_windows_are_no_evidence() -> None:
    detector = Detector({"latency_p95_ms": 20}, {}, "abc")
    feed(detector, [reading(n, 30) for n in range(1, 5)])
    assert feed(detector, [reading(n, 0, count=0) for n in range(5, 200)]) == []
    assert len(feed(detector, [reading(200, 30)])) == 1


def test_a_promise_kept_again_can_break_again_but_a_lasting_breach_is_told_once() -> None:
    detector = Detector({"latency_p95_ms": 20}, {}, "abc")
    spans = [(30, 50), (10, 20), (30, 50)]
    seq, found = 0, []
    for p95, count in spans:
        found.append(len(feed(detector, [reading(seq + n, p95) for n in range(1, count)])))
        seq += count
    assert found == [1, 0, 1]


def test_errors_are_judged_by_their_rate() -> None:
    detector = Detector({"error_rate": 0.1}, {}, "abc")
    assert feed(detector, [reading(n, count=98, errors=2) for n in range(1, 20)]) == []
    found = feed(detector, [reading(n, count=60, errors=40) for n in range(20, 30)])
    assert len(found) == 1 and found[0].seen == pytest.approx(0.4)


def test_memory_must_stay_over_its_limit() -> None:
    detector = Detector({"memory_mb": 100}, {}, "abc")
    assert feed(detector, [reading(n, memory_mb=150 if n % 3 == 0 else 50) for n in range(1, 20)]) == []
    assert [i.seen for i in feed(detector, [reading(n, memory_mb=150) for n in range(20, 30)])] == [150]


def scores(random: np.random.Generator, size: int, shift: float = 0.0) -> list[float]:
    return [float(v) for v in random.normal(0.5 + shift, 0.1, size)]


def histograms(values: Sequence[float], edges: Sequence[float]) -> list[Reading]:
    blocks = [values[n : n + 20] for n in range(0, len(values), 20)]
    return [
        reading(n, count=len(block), histograms={"score": tuple(signals.histogram(block, edges))})
        for n, block in enumerate(blocks, 1)
    ]


def test_drift_is_told_when_what_is_seen_has_changed_and_not_before() -> None:
    random = np.random.default_rng(5)
    reference = reference_of({"score": scores(random, 500)})
    edges = reference["signals"]["score"]["edges"]
    detector = Detector({"drift_psi": 0.25}, reference, "abc")
    assert feed(detector, histograms(scores(random, 4000), edges)) == []
    found = feed(detector, histograms(scores(random, 2000, shift=0.1), edges))
    assert len(found) == 1 and found[0].promise == "drift_psi" and found[0].seen > 0.25
    assert "score" in found[0].sentence


def test_a_limit_below_the_noise_does_not_ring_by_chance() -> None:
    """With a reference of 60 samples chance alone exceeds 0.05 every time: the noise is the limit then."""
    rung = 0
    for seed in range(10):
        random = np.random.default_rng(seed)
        reference = reference_of({"score": scores(random, 60)})
        detector = Detector({"drift_psi": 0.05}, reference, "abc")
        rung += len(feed(detector, histograms(scores(random, 4000), reference["signals"]["score"]["edges"])))
    assert rung <= 1


def test_the_noise_is_what_resampling_shows() -> None:
    """Against independent sampling: a fresh reference and fresh data of the same source, compared plainly."""
    random = np.random.default_rng(0)
    limit = chance([50] * 10, DRIFT_SAMPLES, 0.05)
    over = 0
    for _ in range(400):
        left, right = random.integers(0, 10, 500), random.integers(0, 10, DRIFT_SAMPLES)
        over += signals.psi(np.bincount(left, minlength=10).tolist(), np.bincount(right, minlength=10).tolist()) > limit
    assert 0.02 < over / 400 < 0.10


def test_the_index_is_the_textbook_s() -> None:
    """Siddiqi's sum over bins of (actual % - expected %) × ln(actual % / expected %), written out by hand."""
    expected, actual = [100, 200, 300, 400], [180, 220, 250, 350]
    p = [(n + 0.5) / 1002 for n in expected]
    q = [(n + 0.5) / 1002 for n in actual]
    by_hand = sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))
    assert signals.psi(expected, actual) == pytest.approx(by_hand)
    assert signals.psi(expected, expected) == 0
    assert by_hand == pytest.approx(0.0629, abs=0.002)


@pytest.mark.parametrize("reference", [{}, {"signals": 3}, {"signals": {"a": {"counts": "x"}}}, {"signals": {"a": {}}}])
def test_a_bundle_without_a_usable_reference_has_no_drift(reference: dict[str, Any]) -> None:
    assert drift_references(reference) == {}
    detector = Detector({"drift_psi": 0.1}, reference, "abc")
    assert feed(detector, [reading(n, histograms={"a": (1, 2)}) for n in range(1, 300)]) == []


def test_histograms_of_other_bins_are_passed_over() -> None:
    reference = reference_of({"score": [n / 100 for n in range(100)]})
    detector = Detector({"drift_psi": 0.1}, reference, "abc")
    assert feed(detector, [reading(n, histograms={"score": (500, 0), "x": (1,)}) for n in range(1, 50)]) == []
