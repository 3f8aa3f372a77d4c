from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from board import Bakery
from fleets import Yard


@pytest.fixture
def yard(tmp_path: Path, bakery: Bakery) -> Iterator[Yard]:
    """Three device folders of this machine as a fleet; what they serve is ended after the test."""
    found = Yard(tmp_path, bakery)
    yield found
    found.end()
