"""What the service counts: for Prometheus since its start, and for the spool window by window."""

from __future__ import annotations

import bisect
import math
import threading
import time
import uuid
from typing import Any, Dict, List, Mapping, Optional, Sequence

from edgewright.device import board

BUCKETS_S = (0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.012, 0.016, 0.024, 0.032, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5,
             1.0, 2.5, 5.0)  # fmt: skip
"""Upper bounds of the latency histogram: fine where boards are, coarse where nobody wants to be."""
WINDOW_LIMIT = 20000
"""Latencies kept of one window; beyond it they are counted but not ranked."""


class Meter(object):
    """`edges` are the inner bin edges of each drift signal, from the bundle's reference."""

    def __init__(self, edges: Optional[Mapping[str, Sequence[float]]] = None, system: str = "/") -> None:
        self._edges = {name: list(cuts) for name, cuts in (edges or {}).items()}
        self._system = system
        self._guard = threading.Lock()
        self.run = str(uuid.uuid4())  # readings are known by (run, seq): the spool may have been lost in between
        self.started = time.monotonic()
        self.buckets = [0] * (len(BUCKETS_S) + 1)
        self.seconds = 0.0
        self.count = self.errors = 0
        self.responses: Dict[int, int] = {}
        self._open_window()

    def observe(self, seconds: float, signals: Mapping[str, Any]) -> None:
        with self._guard:
            self.count += 1
            self.seconds += seconds
            self.buckets[bisect.bisect_left(BUCKETS_S, seconds)] += 1
            self._window_count += 1
            if len(self._latencies) < WINDOW_LIMIT:
                self._latencies.append(1000.0 * seconds)
            for name, value in signals.items():
                if name in self._edges and value is not None and math.isfinite(value):
                    self._histograms[name][bisect.bisect_left(self._edges[name], value)] += 1

    def failed(self) -> None:
        with self._guard:
            self.errors += 1
            self._window_errors += 1

    def answered(self, code: int) -> None:
        with self._guard:
            self.responses[code] = self.responses.get(code, 0) + 1

    def pending(self) -> int:
        """How many inferences, failed ones included, the open window holds."""
        return self._window_count + self._window_errors

    def close_window(self) -> Dict[str, Any]:
        """The reading of the window that ends now (core.verdict.Reading as JSON, without its number)."""
        memory = board.memory_bytes(system=self._system).get("bytes", 0)
        with self._guard:
            latencies = sorted(self._latencies)
            now = time.monotonic()
            reading = {
                "boot": self.run,
                "wall": time.time(),
                "monotonic": now,
                "window_s": now - self._opened,
                "count": self._window_count,
                "errors": self._window_errors,
                "p50": quantile(latencies, 0.50),
                "p95": quantile(latencies, 0.95),
                "max": latencies[-1] if latencies else 0.0,
                "memory_bytes": memory,
                "histograms": {name: counts for name, counts in self._histograms.items() if sum(counts)},
                "temperature_c": board.temperature_c(self._system),
                "load1": board.load1(),
            }
            self._open_window()
        return reading

    def _open_window(self) -> None:
        self._opened = time.monotonic()
        self._latencies: List[float] = []
        self._window_count = self._window_errors = 0
        self._histograms = {name: [0] * (len(cuts) + 1) for name, cuts in self._edges.items()}


def quantile(ordered: Sequence[float], share: float) -> float:
    """The quantile of ordered values, linear between neighbours (numpy's default); 0 of none."""
    if not ordered:
        return 0.0
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def exposition(meter: Meter, release: Mapping[str, Any], system: str = "/") -> str:
    """Prometheus text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats)."""
    lines = [
        "# HELP edgewright_inference_seconds Decoded sample in, prediction out.",
        "# TYPE edgewright_inference_seconds histogram",
    ]
    running = 0
    for bound, number in zip(BUCKETS_S, meter.buckets):
        running += number
        lines.append('edgewright_inference_seconds_bucket{le="%g"} %d' % (bound, running))
    lines.append('edgewright_inference_seconds_bucket{le="+Inf"} %d' % sum(meter.buckets))
    lines.append("edgewright_inference_seconds_sum %.6f" % meter.seconds)
    lines.append("edgewright_inference_seconds_count %d" % sum(meter.buckets))
    lines += _family("edgewright_inference_errors_total", "counter", "Inferences that failed.", meter.errors)
    lines += ["# HELP edgewright_responses_total HTTP answers by status.", "# TYPE edgewright_responses_total counter"]
    lines += ['edgewright_responses_total{code="%d"} %d' % pair for pair in sorted(meter.responses.items())]
    uptime = time.monotonic() - meter.started
    lines += _family("edgewright_uptime_seconds", "gauge", "Since the service started.", round(uptime, 3))
    memory = board.memory_bytes(system=system).get("bytes")
    lines += _family("edgewright_memory_bytes", "gauge", "Resident memory of the service.", memory)
    warmest = board.temperature_c(system)
    lines += _family("edgewright_temperature_celsius", "gauge", "The warmest thermal zone.", warmest)
    lines += _family("edgewright_load1", "gauge", "Load average of one minute.", board.load1())
    labels = ",".join('%s="%s"' % (key, _escape(str(value))) for key, value in sorted(release.items()))
    lines += ["# HELP edgewright_release_info The release that serves.", "# TYPE edgewright_release_info gauge"]
    lines.append("edgewright_release_info{%s} 1" % labels)
    return "\n".join(lines) + "\n"


def _family(name: str, kind: str, text: str, value: Optional[float]) -> List[str]:
    if value is None:
        return []
    return ["# HELP %s %s" % (name, text), "# TYPE %s %s" % (name, kind), "%s %s" % (name, repr(value))]


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
