from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from board import Bakery, Board
from work import Work

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


@pytest.fixture(scope="session")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What this machine was found to be, measured once for all tests (`cache/probe` of a store)."""
    work = Work(tmp_path_factory.mktemp("facts"))
    work.configure(
        model="none.onnx", targets=[{"name": family, "family": family} for family in ("onnxruntime", "openvino")]
    )
    assert work.do("probe", str(work.what)).code == 0
    return work.home / "cache" / "probe"


@pytest.fixture
def work(tmp_path: Path, facts: Path) -> Iterator[Work]:
    """A user's folder; what was left serving is ended after the test."""
    found = Work(tmp_path / "work", facts)
    yield found
    found.end()
