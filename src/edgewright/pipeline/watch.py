"""Watch: the readings of a live service into the store, and what they say against the promises."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import groupby
from typing import Any

from edgewright.core.config import WatchConfig
from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError
from edgewright.core.verdict import Incident, Reading
from edgewright.device.release import Layout, ReleaseError
from edgewright.device.serving import Serving
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.device_program import operate
from edgewright.pipeline.incidents import Detector
from edgewright.store.telemetry import Telemetry

BINS_LIMIT = 1000
PATIENCE = 3
"""Polls in a row that may find nobody before watching ends with an error: a release may be changing."""
KEPT_S = 30 * 86400.0
"""Readings older than this are dropped when watching begins; incidents stay."""
READING = set(Reading.__dataclass_fields__)


async def watch(
    link: Link,
    target: str,
    bundle: Bundle,
    config: WatchConfig,
    telemetry: Telemetry,
    *,
    for_s: float | None = None,
) -> AsyncIterator[Reading | Incident]:
    """New readings as they come, each followed by the incidents it completes; all are stored first.
    Ends after `for_s` (default `watch.for_s`; infinity goes on). Readings of a release other than the
    bundle's are stored and given, and judged by nobody. DeviceError when the service stays silent."""
    end = time.monotonic() + (config.for_s if for_s is None else for_s)
    telemetry.prune(KEPT_S)
    detector, missed = _detector(bundle, config, telemetry, target)
    for incident in missed:
        yield incident
    silent = 0
    while True:
        try:
            fetched = await _fetch(link, telemetry.last_seq(target))
            silent = 0
        except DeviceError:
            silent += 1
            if silent >= PATIENCE:
                raise
            fetched = []
        for release, readings in _by_release(fetched):
            for reading in telemetry.add(target, release, readings):
                yield reading
                for incident in detector.feed(reading) if release == bundle.digest else ():
                    telemetry.add_incident(target, incident)
                    yield incident
        left = end - time.monotonic()
        if left <= 0:
            return
        await asyncio.sleep(min(config.interval_s, left, 1.0 if silent else config.interval_s))


def _detector(
    bundle: Bundle, config: WatchConfig, telemetry: Telemetry, target: str
) -> tuple[Detector, list[Incident]]:
    """A detector that has seen what is stored of this release, so that watching in short spells adds up;
    and what it finds there that was never told (a promise may be newer than the readings)."""
    detector = Detector(config.incidents, bundle.card("reference.json"), bundle.digest)
    told = {incident.promise for incident in telemetry.incidents(target, bundle.digest)}
    found = [i for r in telemetry.readings(target, release=bundle.digest, limit=600) for i in detector.feed(r)]
    missed = [incident for incident in found[-1:] if incident.promise not in told]
    for incident in missed:
        telemetry.add_incident(target, incident)
    return detector, missed


async def _fetch(link: Link, since: int) -> list[tuple[str, Reading]]:
    """(release, reading) pairs above `since`."""
    answer = await _ask(link, since)
    last = answer.get("last")
    if isinstance(last, int) and last < since:  # the device lost its spool and counts anew
        answer = await _ask(link, 0)
    found = [_reading(entry) for entry in list(answer["readings"])[:100_000]]
    return [pair for pair in found if pair is not None]


def _by_release(pairs: list[tuple[str, Reading]]) -> list[tuple[str, list[Reading]]]:
    """Neighbours of one release together: around a change of release the spool holds both."""
    return [(release, [r for _, r in group]) for release, group in groupby(pairs, key=lambda pair: pair[0])]


async def _ask(link: Link, since: int) -> dict[str, Any]:
    """/readings of the live service: straight over the loopback here, by the installer elsewhere."""
    if not link.shares_files:
        return await operate(link, "readings", {"since": since})
    try:
        return await asyncio.to_thread(Serving(Layout(link.root)).readings, since)
    except ReleaseError as error:
        raise DeviceError(error.message, error.remedy) from None


def _reading(entry: Any) -> tuple[str, Reading] | None:
    """A reading as the device sent it, or None where it is not one: a device is not to be trusted."""
    try:
        found = Reading.from_json({key: value for key, value in entry.items() if key in READING})
        whole = all(n == n and abs(n) < 1e15 for n in (found.wall, found.p50, found.p95, found.max, found.window_s))
        small = len(found.histograms) <= 100 and all(len(h) <= BINS_LIMIT for h in found.histograms.values())
        positive = found.seq > 0 and found.count >= 0 and found.errors >= 0 and found.memory_bytes >= 0
        release = str(entry.get("release", ""))[:64]
    except (TypeError, ValueError, AttributeError):
        return None
    return (release, found) if whole and small and positive and len(found.boot) <= 100 else None
