"""Fixtures: what this machine was found to be, measured once and not by every test, and folders that have it.

A conftest imports those that its tests use.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from work import Work


@pytest.fixture(scope="session")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`cache/probe` of a store."""
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


@pytest.fixture
def known_machine(tmp_path: Path, facts: Path) -> None:
    """The store `home` in the test's folder has the facts."""
    shutil.copytree(facts, tmp_path / "home" / "cache" / "probe")
