"""Devices for the tests of faults; how many faults were survived is counted by support/survival.py."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from board import Bakery, Board
from survival import Survival

from edgewright.pipeline.stop import stop

ROWS = Path(__file__).with_name("rows.py")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault(name, outcome): a fault of the list, and what the device does about it")
    config.pluginmanager.register(Survival(runpy.run_path(str(ROWS))["BORROWED"]), "survival")


@pytest.fixture
def injected(record_property: Callable[[str, object], None]) -> Callable[[int], None]:
    """Tells how many faults a test has made, where it is more than one."""
    return lambda count: record_property("faults", count)


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
    """A device folder that tests of a module use one after another."""
    found = Board(tmp_path_factory.mktemp("board"), bakery)
    yield found
    stop(found.store)
