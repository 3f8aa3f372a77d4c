"""Fixtures: devices that are folders of this machine. A conftest imports those that its tests use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from board import Bakery, Board

from edgewright.pipeline.stop import stop


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
