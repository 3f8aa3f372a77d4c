"""npu-smi's outputs are read whole, in every layout that was seen, or refused."""

from __future__ import annotations

import contextlib
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgewright.core.errors import DeviceError
from edgewright.targets.cann import npu_smi

B4 = """
+--------------------------------------------------------------------------------------------------------+
| npu-smi 23.0.rc3                                 Version: 23.0.rc3                                     |
+-------------------------------+-----------------+------------------------------------------------------+
| NPU     Name                  | Health          | Power(W)     Temp(C)           Hugepages-Usage(page) |
| Chip    Device                | Bus-Id          | AICore(%)    Memory-Usage(MB)                        |
+===============================+=================+======================================================+
| 0       310B4                 | OK              | 7.2          37                15    / 15            |
| 0       0                     | NA              | 0            1797 / 3513                             |
+===============================+=================+======================================================+
"""
A3 = """
+------------------------------------------------------------------------------------------------+
| npu-smi 24.1.rc3                 Version: 24.1.rc3                                             |
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip  Phy-ID              | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 2     Ascend910           | OK            | 182.0       36                0    / 0             |
| 0     4                   | 0000:9D:00.0  | 0           0    / 0          3402 / 65536         |
+------------------------------------------------------------------------------------------------+
| 2     Ascend910           | Warning       | -           35                0    / 0             |
| 1     5                   | 0000:9F:00.0  | 100         0    / 0          59807/ 65536         |
+===========================+===============+====================================================+
+---------------------------+---------------+----------------------------------------------------+
| NPU     Chip              | Process id    | Process name             | Process memory(MB)      |
+===========================+===============+====================================================+
| 2       1                 | 99910         |                          | 27977                   |
+===========================+===============+====================================================+
"""


def captured(shared_dir: Path) -> dict[str, str]:
    text = (shared_dir / "captures" / "npu-smi" / "samples.txt").read_text(encoding="utf-8")
    parts = re.split(r"^### (.*)$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_captured_table_is_read(shared_dir: Path) -> None:
    read = {head: npu_smi.parse_info(body) for head, body in captured(shared_dir).items() if "sample:" in head}
    assert [[chip.name for chip in chips] for chips in read.values()] == [
        ["310B4"], ["310B4"], ["310P3"], ["310P3", "310P3"], ["310B1"], ["910B3"],
    ]  # fmt: skip
    first, _, third, duo, small, big = read.values()
    assert (first[0].power_w, first[0].temperature_c, first[0].bus_id) == (7.2, 37.0, None)
    assert (first[0].memory_used_mb, first[0].memory_total_mb) == (1797, 3513)
    assert (third[0].npu, third[0].power_w, third[0].bus_id) == (1, None, "0000:01:00.0")
    assert [(one.npu, one.chip, one.device, one.memory_used_mb) for one in duo] == [(0, 0, 0, 35552), (0, 1, 1, 35270)]
    assert small[0].memory_total_mb == 11577
    assert (big[0].device, big[0].ddr_total_mb, big[0].memory_total_mb) == (None, 0, 65536)


def test_an_a3_table_gives_both_chips_and_ignores_processes() -> None:
    first, second = npu_smi.parse_info(A3)
    assert (first.npu, first.chip, first.device, first.name) == (2, 0, 4, "Ascend910")
    assert (second.power_w, second.health, second.memory_used_mb, second.aicore_percent) == (
        None,
        "Warning",
        59807,
        100,
    )


def test_sparse_ids_and_missing_spaces_are_read() -> None:
    text = B4.replace("| 0       310B4", "| 32768   310B4").replace("1797 / 3513", "1797/3513")
    (chip,) = npu_smi.parse_info(text)
    assert (chip.npu, chip.memory_used_mb, chip.memory_total_mb) == (32768, 1797, 3513)


def test_console_lines_before_the_table_do_not_disturb(shared_dir: Path) -> None:
    noise = captured(shared_dir)["preceding console line often seen"]
    assert npu_smi.parse_info(noise + B4) == npu_smi.parse_info(B4)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("dcmi module initialize failed. ret is -8005", "HwHiAiUser"),
        ("dcmi model initialized failed, because the device is used. ret is -8020", "one owner"),
        ("dcmi module initialize failed. ret is -8012", "driver"),
    ],
)
def test_a_failure_names_its_remedy(text: str, word: str) -> None:
    with pytest.raises(DeviceError) as caught:
        npu_smi.parse_info(text)
    assert word in caught.value.remedy


@pytest.mark.parametrize(
    "text", ["", "bash: npu-smi: command not found", "| " + "9" * 5000, B4[: B4.index("| 0       0 ")], B4[:-120]]
)
def test_no_table_and_a_cut_one_are_refused(text: str) -> None:
    with pytest.raises(DeviceError):
        npu_smi.parse_info(text)


def test_halves_of_two_chips_are_not_joined() -> None:
    lines = A3.splitlines()
    with pytest.raises(DeviceError, match="half"):
        npu_smi.parse_info("\n".join(line for i, line in enumerate(lines) if i not in (8, 10)))


def test_a_chip_named_twice_is_refused() -> None:
    rows = "".join(line + "\n" for line in B4.splitlines() if line.startswith("| 0 "))
    with pytest.raises(DeviceError, match="twice"):
        npu_smi.parse_info(rows + rows)


QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUICK
@given(st.data())
def test_a_table_with_lines_lost_gives_true_chips_or_is_refused(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([B4, A3]))
    whole = npu_smi.parse_info(text)
    lines = text.splitlines()
    lost = data.draw(st.sets(st.integers(0, len(lines) - 1), max_size=4))
    try:
        found = npu_smi.parse_info("\n".join(line for i, line in enumerate(lines) if i not in lost))
    except DeviceError:
        return
    # Two rows and the frame between them may go together; then no text can show that the halves are two chips'.
    assert all(one in whole for one in found) or len(lost) >= 3


@QUICK
@given(st.sampled_from([B4, A3]), st.data())
def test_a_damaged_character_is_refused_or_changes_nothing(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text) - 1))
    damage = data.draw(st.sampled_from("#?%&*!~^@$\x00\x1b"))
    try:
        found = npu_smi.parse_info(text[:place] + damage + text[place + 1 :])
    except DeviceError:
        return
    assert found == npu_smi.parse_info(text)


@QUICK
@given(st.text(max_size=400))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (npu_smi.parse_info, npu_smi.parse_list, npu_smi.parse_map, npu_smi.parse_reading):
        with contextlib.suppress(DeviceError):
            parse(text)


def test_lists_and_maps_are_read() -> None:
    cards = "\tTotal Count                    : 2\n\n\tNPU ID                         : 224\n\tChip Count : 1\n"
    cards += "\tNPU ID                         : 32768\n\tProduct Name : Duo\n\tChip Count                     : 2\n"
    assert [(card.npu, card.chips, card.product) for card in npu_smi.parse_list(cards)] == [
        (224, 1, ""), (32768, 2, "Duo"),
    ]  # fmt: skip
    with pytest.raises(DeviceError):
        npu_smi.parse_list(cards.replace(": 2\n\n", ": 3\n\n"))
    chips = "NPU ID  Chip ID  Chip Logic ID  Chip Name\n8 0 0 Ascend 910B3\n8 1 - Mcu\n9 0 1 Ascend 910B3\n"
    assert [(one.npu, one.logic, one.name) for one in npu_smi.parse_map(chips)] == [
        (8, 0, "Ascend 910B3"), (9, 1, "Ascend 910B3"),
    ]  # fmt: skip
    wide = "NPU ID Chip ID Chip Logic ID Chip Phy-ID Chip Name\n0 0 0 4 Ascend910\n0 2 - - Mcu\n"
    assert npu_smi.parse_map(wide) == (npu_smi.Place(0, 0, 0, "Ascend910"),)


def test_details_are_read_for_each_chip() -> None:
    text = "\tMemory Capacity(MB) : 44278\n\tAicore Usage Rate(%) : 3\n\tChip ID : 0\n"
    both = npu_smi.parse_reading(text + text.replace(": 3\n", ": NA\n").replace("ID : 0", "ID : 1"))
    assert [(one.chip, one.memory_mb, one.aicore_percent) for one in both] == [(0, 44278, 3.0), (1, 44278, None)]
    one_asked = npu_smi.parse_reading("\tNPU ID : 0\n\tChip ID : 1\n\tNPU Real-time Power(W) : 7.2\n")
    assert [(one.chip, one.power_w) for one in one_asked] == [(1, 7.2)]
    assert npu_smi.parse_reading("\tNPU Temperature (C)            : 52\n")[0].temperature_c == 52
    assert npu_smi.parse_reading("\tRated Power Dissipation(W) : 8.0")[0].rated_power_w == 8.0
    assert npu_smi.parse_reading("npu-smi: the NPU 310P3 does not support querying power.") == (npu_smi.Reading(),)
    with pytest.raises(DeviceError):
        npu_smi.parse_reading("\tNPU Temperature (C) : warm\n")
    board = npu_smi.parse_board("\tSoftware Version : 24.1.rc3\n\tFirmware Version : 7.5\n\tNPU Name : 9382\n")
    assert (board.software, board.npu_name) == ("24.1.rc3", "9382")
    chip = npu_smi.parse_board("\tNPU ID : 0\n\tNPU Name : NA\n\tChip Type : Ascend\n\tChip Name : 910B4\n")
    assert (chip.npu_name, chip.chip_name) == ("", "910B4")
    with pytest.raises(DeviceError):
        npu_smi.parse_board("\tFirmware Version : 7.5\n")


DUO = "".join(
    f"\tDDR Capacity(MB)               : {44278 + chip}\n\tAicore Usage Rate(%)           : {chip}\n"
    f"\tTemperature(C)                 : {50 + chip}\n\tChip ID                        : {chip}\n\n"
    for chip in (0, 1)
)


@QUICK
@given(st.sets(st.integers(0, DUO.count("\n")), max_size=3))
def test_a_line_lost_from_details_never_gives_one_chip_what_is_anothers(lost: set[int]) -> None:
    text = "\n".join(line for i, line in enumerate(DUO.splitlines()) if i not in lost)
    try:
        found = npu_smi.parse_reading(text)
    except DeviceError:
        return
    whole = npu_smi.parse_reading(DUO)
    for one in found:
        said = {name: value for name, value in one.to_json().items() if value is not None}
        assert any(said.items() <= chip.to_json().items() for chip in whole)


def test_the_stand_in_is_read(toolkit, tmp_path: Path) -> None:
    def ask(*words: str, **extra: str) -> str:
        done: subprocess.CompletedProcess[str] = toolkit.run("npu-smi", "info", *words, cwd=tmp_path, **extra)
        return done.stdout

    assert npu_smi.parse_info(ask())[0].name == "310B4"
    assert npu_smi.parse_info(ask(CANNSIM_SOC="Ascend310P3"))[0].name == "310P3"
    assert npu_smi.parse_list(ask("-l")) == (npu_smi.Card(0, 1),)
    assert npu_smi.parse_map(ask("-m"))[0].name == "Ascend 310B4"
    common = npu_smi.parse_reading(ask("-t", "common", "-i", "0"))[0]
    assert common.temperature_c and common.power_w and common.chip == 0
    assert npu_smi.parse_reading(ask("-t", "usages", "-i", "0"))[0].memory_mb == 3513
    assert "rc" in npu_smi.parse_board(ask("-t", "board", "-i", "0")).software
    with pytest.raises(DeviceError, match="number"):
        npu_smi.parse_reading(ask("-t", "temp", "-i", "7"))
