"""One inference at a time, with a short, bounded queue before it.

Two inferences at once on one board only make both late. Who finds the queue full, or waits too long
in it, is told so at once instead of being kept.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Dict, NamedTuple

from edgewright.device.meter import Meter
from edgewright.device.service import PHASES, Service

WAITING = 16
"""Requests that may wait for their turn."""
PATIENCE_S = 10.0
"""How long one may wait."""


class Busy(Exception):
    """The queue is full, or the wait was too long."""


class Answer(NamedTuple):
    """A prediction and where its time went, in milliseconds; `wait` is the time in the queue."""

    prediction: Any
    timing_ms: Dict[str, float]


class Inference(object):
    """The service of one folder behind a turnstile. Counts every inference in the meter."""

    def __init__(self, service: Service, meter: Meter, waiting: int = WAITING, patience_s: float = PATIENCE_S) -> None:
        self.service, self._meter, self._patience_s = service, meter, patience_s
        self.session = service.session("serve")
        self._turn = threading.Lock()
        self._places = threading.BoundedSemaphore(waiting + 1)

    def predict(self, sample: Any, stateful: bool = False) -> Answer:
        """The prediction of one decoded sample. Busy when overloaded; whatever the model raises is
        counted and raised. Requests are unrelated, so a task's state is reset unless `stateful`."""
        asked = time.perf_counter()
        if not self._places.acquire(blocking=False):
            raise Busy()
        try:
            if not self._turn.acquire(timeout=self._patience_s):
                raise Busy()
            try:
                waited = time.perf_counter() - asked
                return self._run(sample, waited, stateful)
            finally:
                self._turn.release()
        finally:
            self._places.release()

    def _run(self, sample: Any, waited: float, stateful: bool) -> Answer:
        try:
            if not stateful:
                self.session.reset()
            predictions, phases = self.service.predict(self.session, [sample])
            signals = self.session.signals(sample, predictions[0])
        except Exception:
            self._meter.failed()
            raise
        self._meter.observe(sum(phases), signals)
        timing = {"wait": 1000.0 * waited, "total": 1000.0 * (waited + sum(phases))}
        timing.update((name, 1000.0 * seconds) for name, seconds in zip(PHASES, phases))
        return Answer(predictions[0], {name: round(value, 3) for name, value in timing.items()})

    def warm(self, sample: Any) -> None:
        """One inference that is not counted, so that the first request is not the slow one."""
        self.session.reset()
        self.service.predict(self.session, [sample])
