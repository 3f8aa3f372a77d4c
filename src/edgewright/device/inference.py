"""One inference at a time, with a short, bounded queue before it.

Two inferences at once on one board only make both late. Who finds the queue full, or waits too long
in it, is told so at once instead of being kept.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Dict, NamedTuple, Optional

import numpy as np

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
    outputs: Dict[str, Any]  # the arrays by role, where they were asked for


class Inference(object):
    """The service of one folder behind a turnstile. Counts every inference in the meter."""

    def __init__(self, service: Service, meter: Meter, waiting: int = WAITING, patience_s: float = PATIENCE_S) -> None:
        self.service, self._meter, self._patience_s = service, meter, patience_s
        self.session = service.session("serve")
        self._turn = threading.Lock()
        self._places = threading.BoundedSemaphore(waiting + 1)
        self._began: Optional[float] = None

    def predict(self, sample: Any, stateful: bool = False, outputs: bool = False) -> Answer:
        """The prediction of one decoded sample, with the model's `outputs` if asked for. Busy when
        overloaded; whatever the model raises is counted and raised. Requests are unrelated, so a task's
        state is reset unless `stateful`."""
        asked = time.perf_counter()
        if not self._places.acquire(blocking=False):
            raise Busy()
        try:
            if not self._turn.acquire(timeout=self._patience_s):
                raise Busy()
            try:
                waited = time.perf_counter() - asked
                self._began = time.monotonic()
                return self._run(sample, waited, stateful, outputs)
            finally:
                self._began = None
                self._turn.release()
        finally:
            self._places.release()

    def _run(self, sample: Any, waited: float, stateful: bool, keep: bool) -> Answer:
        try:
            if not stateful:
                self.session.reset()
            outputs, contexts, (start, prepared, computed) = self.service.infer(self.session, [sample])
            prediction = self.session.finish(outputs[0], contexts[0])
            done = time.perf_counter()
            # Copied while it is our turn: an engine may use the same memory again.
            kept = {role: np.array(array) for role, array in outputs[0].items()} if keep else {}
            signals = self.session.signals(sample, prediction)
        except Exception:
            self._meter.failed()
            raise
        self._meter.observe(done - start, signals)
        phases = (prepared - start, computed - prepared, done - computed)
        timing = {"wait": 1000.0 * waited, "total": 1000.0 * (waited + sum(phases))}
        timing.update((name, 1000.0 * seconds) for name, seconds in zip(PHASES, phases))
        return Answer(prediction, {name: round(value, 3) for name, value in timing.items()}, kept)

    def stuck_s(self) -> float:
        """Seconds since the inference began that is running now; 0 where none is."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def warm(self, sample: Any) -> None:
        """One inference that is not counted, so that the first request is not the slow one."""
        self.session.reset()
        self.service.predict(self.session, [sample])
