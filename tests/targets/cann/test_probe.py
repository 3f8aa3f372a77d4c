"""Facts of an Ascend device come from its own tools and from AscendCL, and a stand-in says that it is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgewright.core.errors import DeviceError
from edgewright.core.facts import Facts
from edgewright.targets.cann import boards, chip, npu_smi, probe
from edgewright.targets.cann.chip import Answer, Sight


@pytest.fixture
def probed(toolkit: Any, over_link: Callable[..., Any]) -> Callable[..., Facts]:
    """probed(place, **variables): the facts of the stand-in's layout in that folder of its prefix."""

    def look(place: str = "ascend-toolkit/latest", **variables: str) -> Facts:
        home, state = str(toolkit.prefix / place), str(toolkit.state)
        facts = over_link(probe.probe, ASCEND_HOME_PATH=home, CANNSIM_STATE_DIR=state, **variables)
        assert isinstance(facts, Facts)
        return facts

    return look


def test_the_stand_in_is_described_as_a_developer_kit_and_as_simulated(probed: Callable[..., Facts]) -> None:
    facts = probed()
    assert (facts.family, facts.simulated, facts.peaks) == ("cann", True, {})
    assert facts.accelerator == {
        "chip": "310B4", "soc_version": "Ascend310B4", "run_mode": "device", "memory": 3513 << 20, "devices": 1,
        "cann": "8.1.RC1", "layout": "8", "board": "atlas-200i-dk-a2", "toolkit": facts.environment["ASCEND_HOME_PATH"],
        "npu_smi": True, "atc": True, "amct": True, "msprof": True, "health": "OK",
    }  # fmt: skip
    assert facts.runtimes["cann"] == "8.1.RC1" and facts.runtimes["driver"]
    assert facts.memory and facts.machine and facts.threads
    assert Facts.from_json(facts.to_json()) == facts


def test_the_run_mode_is_what_acl_says(probed: Callable[..., Facts]) -> None:
    card = probed("cann", CANNSIM_SOC="Ascend310P3", CANNSIM_CANN_VERSION="9.1.0")
    assert (card.accelerator["chip"], card.accelerator["run_mode"], card.accelerator["layout"]) == (
        "310P3",
        "host",
        "9",
    )
    assert probed(CANNSIM_RUN_MODE="host").accelerator["run_mode"] == "host"


@pytest.mark.parametrize(("fault", "word"), [("-8005", "HwHiAiUser"), ("busy", "one owner")])
def test_a_chip_that_is_there_and_out_of_reach_is_an_error(probed: Callable[..., Facts], fault: str, word: str) -> None:
    with pytest.raises(DeviceError) as caught:
        probed(CANNSIM_FAULT=fault)
    assert word in caught.value.remedy


def test_a_hot_chip_is_described_with_its_health(probed: Callable[..., Facts]) -> None:
    assert probed(CANNSIM_FAULT="hot").accelerator["health"] == "Alarm"


def test_a_machine_without_cann_says_what_to_install(over_link: Callable[..., Any]) -> None:
    with pytest.raises(DeviceError) as caught:
        over_link(probe.probe)
    assert "Install CANN" in caught.value.remedy


def test_a_conversion_host_has_no_chip(over_link: Callable[..., Any], tmp_path: Path) -> None:
    home = tmp_path / "toolkit"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "atc").write_text("#!/bin/sh\n")
    (home / "bin" / "atc").chmod(0o755)
    (home / "version.cfg").write_text("runtime_running_version=[7.7.0.1.238:8.1.RC1]\n")
    (home / "set_env.sh").write_text(f"export ASCEND_HOME_PATH={home}\nexport PATH={home}/bin:$PATH\n")
    facts = over_link(probe.probe, ASCEND_HOME_PATH=str(home))
    shown = facts.accelerator
    assert (shown["chip"], shown["soc_version"], shown["run_mode"], shown["atc"]) == ("", "", "", True)
    assert (facts.simulated, facts.peaks, facts.runtimes["cann"]) == (False, {}, "8.1.RC1")


def test_peaks_are_the_data_sheets_and_absent_where_it_has_none() -> None:
    assert probe.nominal(boards.board("atlas-200i-dk-a2")) == {"int8": 8e3, "fp16": 4e3}
    assert probe.nominal(boards.board("atlas-200i-soc-a1")) == {}


def test_a_board_is_named_by_the_device_tree_or_its_memory_and_else_not() -> None:
    rows, gib = boards.by_chip("310B4"), 1 << 30
    assert probe._board(rows, "", 3513 << 20) == "atlas-200i-dk-a2"
    assert probe._board(rows, "", 15609 << 20) == ""
    assert probe._board(rows, "Atlas 200I DK A2", 15609 << 20) == "atlas-200i-dk-a2"
    assert probe._board(boards.by_chip("310P3"), "", 43 * gib) == "atlas-300i-duo"
    assert probe._board((), "", 0) == ""


def test_the_vendors_rule_names_what_npu_smi_shows() -> None:
    table = "| 0 910B3 | OK | 100.0 50 0 / 0 |\n| 0 | 0000:C1:00.0 | 0 0 / 0 3546 / 65536 |"
    assert Sight(npu_smi.parse_info(table)).soc_version == "Ascend910B3"
    a3 = npu_smi.parse_info(table.replace("910B3", "Ascend910"))
    assert Sight(a3, npu_smi.BoardDetails("24.1", "7.5", npu_name="9382")).soc_version == "Ascend910_9382"
    assert Sight().soc_version == ""


@pytest.mark.parametrize("code", sorted(chip.CAUSES))
def test_a_code_of_acl_has_a_cause_and_a_remedy(code: int) -> None:
    message, remedy = chip.explained(Answer(call="aclInit", code=code))
    assert str(code) in message and remedy


def test_an_answer_of_acl_that_is_none_is_an_error(saying: Any, toolkit: Any, over_link: Callable[..., Any]) -> None:
    import asyncio

    from edgewright.targets.cann.toolkit import find

    found = over_link(lambda link: find(link, str(toolkit.prefix)))
    for text in ("", "Segmentation fault", "[]", '{"devices": "many"}', '{"x": 1}'):
        with pytest.raises(DeviceError):
            asyncio.run(chip.ask(saying(text), found))
