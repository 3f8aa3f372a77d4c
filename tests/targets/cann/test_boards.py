"""Boards are rows: known by name, found by chip, consistent with the chips that atc knows."""

from __future__ import annotations

import pytest

from edgewright.core.errors import ConfigError
from edgewright.targets.cann import boards, soc


def test_the_developer_kit_is_a_310b4_that_runs_programs_itself() -> None:
    row = boards.board("atlas-200i-dk-a2")
    assert (row.chip, row.soc_version, row.tops_int8, row.ai_cores) == ("310B4", "Ascend310B4", 8.0, 1)
    assert (row.run_mode, row.architecture, row.confirmed) == ("device", "aarch64", True)
    assert any("shape ranges" in quirk for quirk in row.quirks)


@pytest.mark.parametrize("name", ["Atlas 200I DK A2", "ATLAS_200I_DK_A2", " atlas-200i-dk-a2 "])
def test_a_board_is_known_however_its_name_is_written(name: str) -> None:
    assert boards.board(name).chip == "310B4"


def test_an_unknown_board_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'atlas-200i-dk-a2'"):
        boards.board("atlas-200-dk-a2")


def test_boards_are_found_by_chip() -> None:
    assert [row.name for row in boards.by_chip("Ascend310B1")] == ["atlas-200i-a2-20t", "orange-pi-aipro-20t"]
    assert {row.name for row in boards.by_chip("310P3")} >= {"atlas-300i-pro", "atlas-300i-duo"}
    assert boards.by_chip("310B") == ()


def test_every_row_names_a_chip_that_atc_knows_and_where_it_was_read() -> None:
    assert len({row.name for row in boards.BOARDS}) == len(boards.BOARDS)
    for row in boards.BOARDS:
        assert row.soc_version in soc.KNOWN
        assert row.run_mode in ("device", "host")
        assert row.source
        assert boards.Board.from_json(row.to_json()) == row


def test_what_was_not_read_in_a_vendors_text_says_so() -> None:
    unsure = boards.board("atlas-200i-soc-a1")
    assert not unsure.confirmed
    assert "not confirmed" in unsure.source
    assert unsure.tops_int8 == 0
