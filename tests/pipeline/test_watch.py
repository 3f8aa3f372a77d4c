"""Watching a real service: its readings come into the store, what breaks becomes an incident."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from board import Board, ask

from edgewright.core.config import WatchConfig
from edgewright.core.errors import DeviceError
from edgewright.core.verdict import Incident, Reading
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.stop import stop
from edgewright.pipeline.watch import _reading, watch
from edgewright.store.telemetry import Telemetry


@contextmanager
def traffic(board: Board, url: str) -> Iterator[None]:
    """Requests one after another, from a thread."""
    ended = threading.Event()
    body = board.dataset.samples[0].path.read_bytes()

    def send() -> None:
        while not ended.is_set():
            ask(url + "/infer", body, "image/png")

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def watched(board: Board, bundle: Bundle, for_s: float, **incidents: float) -> list[Reading | Incident]:
    config = WatchConfig(interval_s=0.3, for_s=for_s, incidents=incidents)

    async def story() -> list[Reading | Incident]:
        link = await board.link()
        with Telemetry(board.store.root / "telemetry.sqlite") as telemetry:
            return [item async for item in watch(link, "local", bundle, config, telemetry)]

    return asyncio.run(story())


def test_readings_of_a_service_come_into_the_store_once(board: Board) -> None:
    bundle = board.bundle()
    release = board.deploy(bundle)
    with traffic(board, release.url):
        first = watched(board, bundle, 2.5)
    again = watched(board, bundle, 0)
    assert sum(r.count for r in first if isinstance(r, Reading)) > 10
    numbers = [r.seq for r in [*first, *again] if isinstance(r, Reading)]
    assert numbers == sorted(set(numbers))
    with Telemetry(board.store.root / "telemetry.sqlite") as telemetry:
        assert [r.seq for r in telemetry.readings("local", release=bundle.digest)] == numbers
        assert all("brightness" in r.histograms for r in telemetry.readings("local") if r.count)


@pytest.mark.slow
def test_a_latency_over_its_promise_becomes_one_incident_across_spells_of_watching(board: Board) -> None:
    bundle = board.bundle(delay_ms=30)
    release = board.deploy(bundle)
    found: list[Incident] = []
    with traffic(board, release.url):
        for _ in range(4):
            found += [i for i in watched(board, bundle, 2.5, latency_p95_ms=10) if isinstance(i, Incident)]
    assert [(i.promise, i.release) for i in found] == [("latency_p95_ms", bundle.digest)]
    assert found[0].seen > 30 and found[0].first_seq <= found[0].last_seq
    with Telemetry(board.store.root / "telemetry.sqlite") as telemetry:
        assert telemetry.incidents("local", bundle.digest) == found


def test_a_service_that_is_not_there_is_a_device_error(board: Board) -> None:
    bundle = board.bundle()
    board.deploy(bundle)
    stop(board.store)
    with pytest.raises(DeviceError, match="does not answer"):
        watched(board, bundle, 30)


def test_a_spool_that_was_lost_is_read_from_its_new_beginning(board: Board, tmp_path: Path) -> None:
    bundle = board.bundle()
    release = board.deploy(bundle)
    body = board.dataset.samples[0].path.read_bytes()
    for _ in range(3):
        ask(release.url + "/infer", body, "image/png")
        watched(board, bundle, 0)
    stop(board.store)
    for path in (board.root / "spool").glob("*.jsonl"):
        path.unlink()
    release = board.deploy(bundle)
    ask(release.url + "/infer", body, "image/png")
    assert [r.count for r in watched(board, bundle, 0) if isinstance(r, Reading) and r.count] == [1]


GOOD = {
    "seq": 1, "boot": "b", "wall": 1.0, "monotonic": 1.0, "window_s": 1.0, "count": 1, "errors": 0, "p50": 1.0,
    "p95": 1.0, "max": 1.0, "memory_bytes": 1, "histograms": {}, "release": "abc", "extra": "ignored",
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{"seq": "1"}, {"seq": -1}, {"p95": None}, {"p95": "fast"}, {"count": -5}, {"histograms": {"a": [0] * 5000}},
     {"histograms": {"a": ["x"]}}, {"boot": "b" * 500}, {"wall": 1e300}],
)  # fmt: skip
def test_what_a_device_sends_that_is_no_reading_is_left_out(change: dict[str, Any]) -> None:
    assert _reading(GOOD) == (
        "abc",
        Reading.from_json({k: v for k, v in GOOD.items() if k not in ("release", "extra")}),
    )
    assert _reading({**GOOD, **change}) is None
    assert _reading(7) is None
