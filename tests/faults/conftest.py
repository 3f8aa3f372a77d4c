"""Counts the faults that were injected, and says at the end how many were survived.

`@pytest.mark.fault("F6 a disk that is full", outcome="the old release serves on")` marks a test as a row of the fault
list. A test that injects many faults says so: `injected(200)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from board import Bakery, Board

from edgewright.pipeline.stop import stop

KEY = pytest.StashKey[dict[str, int]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault(name, outcome): a fault of the list, and what the device does about it")
    config.stash[KEY] = {"met": 0, "survived": 0, "elsewhere": 0}


@pytest.fixture
def injected(record_property: Callable[[str, object], None]) -> Callable[[int], None]:
    """Tells how many faults a test has injected, where it is more than one."""
    return lambda count: record_property("faults", count)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):  # type: ignore[no-untyped-def]
    report = yield
    if item.get_closest_marker("fault") and (report.when == "call" or (report.when == "setup" and not report.passed)):
        counts = item.config.stash[KEY]
        faults = max([int(value) for name, value in report.user_properties if name == "faults"], default=1)
        if report.skipped:
            counts["elsewhere"] += 1
        else:
            counts["met"] += faults
            counts["survived"] += faults if report.passed else 0
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts = config.stash[KEY]
    if counts["met"]:
        also = f"; {counts['elsewhere']} could not be made on this machine" if counts["elsewhere"] else ""
        terminalreporter.write_line(f"{counts['survived']} of {counts['met']} faults survived{also}")


@pytest.fixture(scope="session")
def bakery(tmp_path_factory: pytest.TempPathFactory) -> Bakery:
    return Bakery(tmp_path_factory.mktemp("bakery"))


@pytest.fixture
def board(tmp_path: Path, bakery: Bakery) -> Iterator[Board]:
    """A device folder of its own; what it started is ended after the test."""
    found = Board(tmp_path, bakery)
    yield found
    stop(found.store)


@pytest.fixture(scope="module")
def old_board(tmp_path_factory: pytest.TempPathFactory, bakery: Bakery) -> Iterator[Board]:
    """A device folder that tests of a module use one after another; it serves one of `pair`."""
    found = Board(tmp_path_factory.mktemp("board"), bakery)
    yield found
    stop(found.store)
