"""Devices for the tests of faults; how many faults were survived is counted by support/survival.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from boards import bakery, board, old_board  # noqa: F401


@pytest.fixture
def injected(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Tells how many faults a test has made, where it is more than one, and after how many of them it asked the device,
    where that is not after each."""

    def tell(count: int, asked: int | None = None) -> None:
        record_property("faults", count)
        if asked is not None:
            record_property("asked", asked)

    return tell
