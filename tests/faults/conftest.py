"""Devices for the tests of faults; how many faults were survived is counted by support/survival.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from boards import bakery, board, old_board  # noqa: F401


@pytest.fixture
def injected(record_property: Callable[[str, object], None]) -> Callable[[int], None]:
    """Tells how many faults a test has made, where it is more than one."""
    return lambda count: record_property("faults", count)
