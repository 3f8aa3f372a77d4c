"""From readings to incidents. Pure: feed readings in order, get what broke.

An incident needs enough samples and a breach that lasts; it is told once, and again only after the
promise was kept for as long (hysteresis), so that a noisy limit does not ring for ever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgewright.core.verdict import Incident, Reading
from edgewright.device.signals import psi

WINDOWS = 5
"""Windows with inferences that a latency breach must last."""
SAMPLES = 30
"""Inferences that these windows must hold together."""
SHARE = 0.7
"""Share of those windows that must be over the limit; below 1 − SHARE the promise is kept again."""
ERROR_SAMPLES = 20
ERRORS = 3
MEMORY_WINDOWS = 3
DRIFT_SAMPLES = 200
"""Observations of one look at drift; looks do not overlap, and two in a row must be over."""
DRAWS = 4000
KEPT = 600


@dataclass(frozen=True)
class Drift:
    """The reference of one signal: its histogram, and the index that chance alone exceeds once in a thousand."""

    counts: tuple[int, ...]
    noise: float


class Detector:
    """`limits` is `watch.incidents`; `reference` the bundle's reference.json; `release` the live digest."""

    def __init__(self, limits: Mapping[str, float], reference: Mapping[str, Any], release: str) -> None:
        self._limits, self._release = dict(limits), release
        self._recent: deque[Reading] = deque(maxlen=KEPT)
        self._broken: set[str] = set()
        self._drift = drift_references(reference) if "drift_psi" in self._limits else {}
        self._seen = {name: np.zeros(len(d.counts), np.int64) for name, d in self._drift.items()}
        self._look_from, self._over = 0, 0

    def feed(self, reading: Reading) -> list[Incident]:
        """The incidents that this reading completes; most often none."""
        self._recent.append(reading)
        checks = {
            "latency_p95_ms": self._latency,
            "error_rate": self._errors,
            "memory_mb": self._memory,
            "drift_psi": self._drifted,
        }
        found = [checks[name](reading, limit) for name, limit in self._limits.items()]
        return [incident for incident in found if incident is not None]

    def _latency(self, reading: Reading, limit: float) -> Incident | None:
        windows = self._trailing(lambda r: r.count, WINDOWS, SAMPLES)
        if not reading.count or windows is None:
            return None
        share = sum(r.p95 > limit for r in windows) / len(windows)
        seen = float(np.median([r.p95 for r in windows]))
        said = (
            f"p95 was {seen:.1f} ms over {sum(r.count for r in windows)} inferences, and the promise is {limit:g} ms."
        )
        return self._judge("latency_p95_ms", limit, seen, share >= SHARE, share <= 1 - SHARE, windows, said)

    def _errors(self, reading: Reading, limit: float) -> Incident | None:
        windows = self._trailing(lambda r: r.count + r.errors, 1, ERROR_SAMPLES)
        if windows is None:
            return None
        errors, asked = sum(r.errors for r in windows), sum(r.count + r.errors for r in windows)
        rate = errors / asked
        said = f"{errors} of {asked} inferences failed ({rate:.1%}), and the promise is {limit:.1%}."
        return self._judge(
            "error_rate", limit, rate, rate > limit and errors >= ERRORS, rate <= limit / 2, windows, said
        )

    def _memory(self, reading: Reading, limit: float) -> Incident | None:
        windows = list(self._recent)[-MEMORY_WINDOWS:]
        if len(windows) < MEMORY_WINDOWS:
            return None
        held = [r.memory_bytes / (1 << 20) for r in windows]
        said = f"The service held {min(held):.0f} MiB or more, and the promise is {limit:g} MiB."
        return self._judge("memory_mb", limit, min(held), min(held) > limit, max(held) < 0.95 * limit, windows, said)

    def _drifted(self, reading: Reading, limit: float) -> Incident | None:
        for name, counts in reading.histograms.items():
            if name in self._seen and len(counts) == len(self._seen[name]):
                self._seen[name] += np.asarray(counts, np.int64)
        self._look_from = self._look_from or reading.seq
        if max((int(seen.sum()) for seen in self._seen.values()), default=0) < DRIFT_SAMPLES:
            return None
        found = {n: psi(d.counts, self._seen[n].tolist()) for n, d in self._drift.items() if self._seen[n].sum()}
        worst = max(found, key=lambda n: found[n] / max(limit, self._drift[n].noise))
        threshold = max(limit, self._drift[worst].noise)
        self._over = self._over + 1 if found[worst] > threshold else 0
        first, self._look_from = self._look_from, 0
        for seen in self._seen.values():
            seen[:] = 0
        windows = [r for r in self._recent if r.seq >= first] or [reading]
        said = (
            f"What the service sees has drifted: the stability index of {worst} is {found[worst]:.2f}, "
            f"the promise is {limit:g}, and chance reaches {self._drift[worst].noise:.2f}."
        )
        return self._judge("drift_psi", threshold, found[worst], self._over >= 2, self._over == 0, windows, said)

    def _trailing(self, weight: Any, least: int, samples: int) -> list[Reading] | None:
        """The newest readings with weight, at least so many and so heavy together; None while there are fewer."""
        taken: list[Reading] = []
        total = 0
        for reading in reversed(self._recent):
            if weight(reading):
                taken.append(reading)
                total += weight(reading)
                if len(taken) >= least and total >= samples:
                    return taken[::-1]
        return None

    def _judge(
        self, promise: str, limit: float, seen: float, broken: bool, kept: bool, windows: Sequence[Reading], said: str
    ) -> Incident | None:
        if kept:
            self._broken.discard(promise)
        if not broken or promise in self._broken:
            return None
        self._broken.add(promise)
        return Incident(promise, limit, seen, windows[0].seq, windows[-1].seq, self._release, said)


def drift_references(reference: Mapping[str, Any], draws: int = DRAWS) -> dict[str, Drift]:
    """The reference histograms that can be used, each with its noise: the index between the reference
    drawn anew and DRIFT_SAMPLES drawn from it, exceeded once in a thousand over all signals together."""
    signals = reference.get("signals")
    if not isinstance(signals, dict):
        return {}
    usable = {str(name): _counts(entry) for name, entry in signals.items()}
    usable = {name: counts for name, counts in usable.items() if sum(counts)}
    share = 0.001 / max(1, len(usable))
    return {name: Drift(counts, chance(counts, DRIFT_SAMPLES, share, draws)) for name, counts in usable.items()}


def chance(counts: Sequence[int], samples: int, share: float, draws: int = DRAWS, seed: int = 0) -> float:
    """The PSI that `samples` draws from the reference itself exceed with probability `share`, by bootstrap.
    The reference is itself a sample, so it is drawn anew as well."""
    random = np.random.default_rng(seed)
    soft = np.asarray(counts, np.float64) + 0.5
    p = soft / soft.sum()
    left = random.multinomial(int(sum(counts)), p, size=draws) + 0.5
    right = random.multinomial(samples, p, size=draws) + 0.5
    left, right = left / left.sum(1, keepdims=True), right / right.sum(1, keepdims=True)
    index = ((left - right) * np.log(left / right)).sum(1)
    return float(np.quantile(index, 1 - share))


def _counts(entry: Any) -> tuple[int, ...]:
    counts = entry.get("counts") if isinstance(entry, dict) else None
    if not isinstance(counts, list) or not all(type(n) is int and n >= 0 for n in counts):
        return ()
    return tuple(counts)
