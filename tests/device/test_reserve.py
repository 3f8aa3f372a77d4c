"""Space that is kept back for the way back; what it does on a full disk is shown in tests/faults/test_disk.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgewright.device import durable, reserve
from edgewright.device.release import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(str(tmp_path))
    found.make()
    return found


def kept(layout: Layout) -> int:
    return sum(path.stat().st_size for path in Path(layout.run).glob("reserve-*"))


def test_it_is_kept_spent_and_taken_back(layout: Layout) -> None:
    assert not reserve.spend(layout)
    reserve.keep(layout)
    assert kept(layout) == reserve.FILES * reserve.EACH_BYTES
    with reserve.spent(layout):
        assert kept(layout) == 0
    assert kept(layout) == reserve.FILES * reserve.EACH_BYTES


def test_what_finds_no_room_is_written_at_its_cost(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    reserve.keep(layout)
    write, left = durable.write_json, []

    def full(path: str, value: Any) -> None:
        left.append(kept(layout))
        if left[-1]:
            raise OSError(28, "No space left on device")
        write(path, value)

    monkeypatch.setattr(durable, "write_json", full)
    path = str(Path(layout.root) / "boots.json")
    reserve.write_json(layout, path, {"tries": {}})
    assert durable.read_json(path) == {"tries": {}} and left == [reserve.FILES * reserve.EACH_BYTES, 0]
    assert kept(layout) == left[0]


def test_another_error_costs_nothing(layout: Layout) -> None:
    reserve.keep(layout)
    with pytest.raises(IsADirectoryError):
        reserve.write_json(layout, layout.spool, {})
    assert kept(layout) == reserve.FILES * reserve.EACH_BYTES
