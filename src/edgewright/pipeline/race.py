"""Race: latency measured in alternating rounds, each entrant in a process of its own.

Entrants take turns within a round, in an order that rotates, so that a drift of the machine's speed
hits all of them; thread pools of one never spin while another is timed because it is idle. What is
compared are ratios within rounds; what is reported are medians first.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgewright.core.contracts import Link
from edgewright.core.verdict import Estimate, Measurement
from edgewright.pipeline import statistics
from edgewright.pipeline.progress import Progress
from edgewright.pipeline.worker import Worker

ROUNDS = 8
SECONDS = 0.4
LEAST_CALLS = 8
PAUSE_S = 0.05
"""Longer than the runtimes' pools spin before they sleep."""


@dataclass(frozen=True)
class Entrant:
    """A service folder on the device, under the name its figures will carry."""

    name: str
    folder: str
    batch: int = 1
    simulated: bool = False


@dataclass
class _Laps:
    """What one entrant did: one list of latencies per round, and its phases."""

    latencies: list[list[float]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    phases: dict[str, list[float]] = field(default_factory=dict)


async def race(
    link: Link,
    entrants: Sequence[Entrant],
    samples: Sequence[str],
    progress: Progress,
    *,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
) -> dict[str, Measurement]:
    """Measures the entrants side by side on the same samples; the first one is the base of `speedup`.

    `samples` are paths on the device. Each round times every entrant for `seconds`, and for eight calls at
    the least (fewer of a batch).
    """
    async with contextlib.AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(Worker(link, entrant.folder)) for entrant in entrants]
        for worker, entrant in zip(workers, entrants, strict=True):
            await worker.ask("warm", samples=list(samples), seconds=seconds, batch=entrant.batch)
        laps = [_Laps() for _ in entrants]
        for number in range(rounds):
            for offset in range(len(entrants)):
                turn = (number + offset) % len(entrants)
                await asyncio.sleep(PAUSE_S)
                batch = entrants[turn].batch
                calls = max(2, LEAST_CALLS // batch)
                answer = await workers[turn].ask(
                    "time", samples=list(samples), seconds=seconds, batch=batch, at_least=calls
                )
                _keep(laps[turn], answer)
            progress.step(number + 1, rounds, "alternating rounds")
        memory = [await worker.ask("memory") for worker in workers]  # before `executed`, which opens more of its own
        executed = [await worker.ask("executed") for worker in workers]
        loads = [float(worker.ready.get("load_seconds", 0.0)) for worker in workers]
    return {
        entrant.name: _measurement(
            entrant, laps[i], laps[0] if i else None, entrants[0].name, executed[i], memory[i], loads[i]
        )
        for i, entrant in enumerate(entrants)
    }


def _keep(laps: _Laps, answer: Mapping[str, Any]) -> None:
    latencies = [float(x) for x in answer["latencies_ms"]]
    laps.latencies.append(latencies)
    laps.rates.append(float(answer["count"]) / float(answer["wall_s"]))
    for phase, values in answer.get("phases", {}).items():
        laps.phases.setdefault(phase, []).extend(float(v) for v in values)


def _measurement(
    entrant: Entrant,
    laps: _Laps,
    base: _Laps | None,
    base_name: str,
    executed: Mapping[str, Any],
    memory: Mapping[str, Any],
    load_seconds: float,
) -> Measurement:
    def percentile(q: float) -> Estimate:
        return statistics.over_rounds(laps.latencies, lambda pooled: float(np.percentile(pooled, q)))

    own = [float(np.median(lap)) for lap in laps.latencies]
    speedup = None
    if base is not None:
        speedup = statistics.paired_ratio([float(np.median(lap)) for lap in base.latencies], own)
    return Measurement(
        p50=percentile(50),
        p90=percentile(90),
        p95=percentile(95),
        p99=percentile(99),
        throughput=statistics.over_rounds([[rate] for rate in laps.rates], lambda pooled: float(np.median(pooled))),
        phases={phase: float(np.median(values)) for phase, values in laps.phases.items()},
        memory_bytes=int(memory["peak_bytes"]),
        device_bytes=int(memory.get("device_bytes", 0)),
        load_seconds=load_seconds,
        executed={str(k): float(v) for k, v in executed.get("precisions", {}).items()},
        executed_ops={str(k): int(v) for k, v in executed.get("ops", {}).items()},
        speedup=speedup,
        base=base_name if base is not None else "",
        batch=entrant.batch,
        rounds=len(laps.latencies),
        simulated=entrant.simulated,
        round_p50=tuple(own),
    )
