"""Reading `npu-smi info`: its table, its lists (`-l`, `-m`) and its details (`-t usages|temp|power|common|board`).

Layouts after the vendor's source (hicann/driver ef377e95, npucli) and outputs of real boards: 310, 310P, 310B (Device
column, Bus-Id NA), 910B (HBM column, no device), A3 (Phy-ID, power `-` on a card's second chip). A text is read whole
or refused (DeviceError): a line of the table that fits no layout is never passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from edgewright.core.errors import DeviceError
from edgewright.core.record import Record

LONGEST = 1 << 20
"""Characters of an output that are looked at; a machine of 16 cards prints about 10,000."""
NOTHING = ("NA", "N/A", "-", "")
NUMBER = r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?|NA|N/A|-)"
PAIR = r"([0-9]{1,9})\s*/\s*([0-9]{1,9})"
FIRST_CELLS = (
    re.compile(r"([0-9]{1,6})\s+((?:Ascend\s*)?[0-9]{3}[0-9A-Za-z_-]{0,16})"),
    re.compile(r"[A-Za-z]{2,16}"),
    re.compile(rf"({NUMBER})\s+({NUMBER})\s+{PAIR}"),
)
SECOND_CELLS = (
    re.compile(r"([0-9]{1,6})(?:\s+([0-9]{1,6}|NA|-))?"),
    re.compile(r"NA|-|[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-9A-Fa-f]"),
    re.compile(rf"({NUMBER})\s+{PAIR}(?:\s+{PAIR})?"),
)


@dataclass(frozen=True)
class Chip(Record):
    """One chip of the table. `npu` is the card and need not count from 0, `chip` counts on the card, `device` is the
    number that AscendCL uses (None where the layout has none). None is what npu-smi prints as NA or `-`."""

    npu: int
    chip: int
    device: int | None
    name: str
    health: str
    power_w: float | None
    temperature_c: float | None
    hugepages_used: int
    hugepages_total: int
    bus_id: str | None
    aicore_percent: float | None
    ddr_used_mb: int
    ddr_total_mb: int
    hbm_used_mb: int = 0
    hbm_total_mb: int = 0

    @property
    def memory_used_mb(self) -> int:
        """Of the memory that networks use: HBM where there is some."""
        return self.hbm_used_mb if self.hbm_total_mb else self.ddr_used_mb

    @property
    def memory_total_mb(self) -> int:
        return self.hbm_total_mb or self.ddr_total_mb


@dataclass(frozen=True)
class Card(Record):
    """One NPU of `-l`."""

    npu: int
    chips: int
    product: str = ""


@dataclass(frozen=True)
class Place(Record):
    """One chip of `-m`: `logic` is the device number of AscendCL."""

    npu: int
    chip: int
    logic: int
    name: str


@dataclass(frozen=True)
class Reading(Record):
    """What `-t usages`, `temp`, `power` or `common` says of one chip; None for what it does not say."""

    memory_mb: float | None = None
    memory_percent: float | None = None
    hbm_mb: float | None = None
    hbm_percent: float | None = None
    aicore_percent: float | None = None
    aicpu_percent: float | None = None
    ctrlcpu_percent: float | None = None
    bandwidth_percent: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    rated_power_w: float | None = None
    chip: int | None = None


@dataclass(frozen=True)
class BoardDetails(Record):
    """What `-t board` says of a card (`-i`: versions) or of a chip (`-i -c`: names); "" for what it does not say.

    `software` is the driver's version; `npu_name` names the chip of an A3 machine ("9382")."""

    software: str = ""
    firmware: str = ""
    npu_name: str = ""
    chip_name: str = ""


READINGS = {
    "memory_mb": r"(?:Memory|DDR) Capacity ?\(MB\)",
    "memory_percent": r"(?:Memory|DDR) Usage Rate ?\(%\)",
    "hbm_mb": r"HBM Capacity ?\(MB\)",
    "hbm_percent": r"HBM Usage Rate ?\(%\)",
    "aicore_percent": r"Aicore Usage Rate ?\(%\)",
    "aicpu_percent": r"Aicpu Usage Rate ?\(%\)",
    "ctrlcpu_percent": r"Ctrlcpu Usage Rate ?\(%\)",
    "bandwidth_percent": r"(?:Memory|DDR) Bandwidth Usage Rate ?\(%\)",
    "temperature_c": r"(?:NPU )?Temperature ?\(C\)",
    "power_w": r"NPU Real-time Power ?\(W\)",
    "rated_power_w": r"Rated Power Dissipation ?\(W\)",
    "chip": r"Chip ID",
}


def parse_info(text: str) -> tuple[Chip, ...]:
    """Every chip of the table of `npu-smi info`, in its order. DeviceError for a failure and for a text that is no
    such table, is cut, or names a chip twice."""
    _refuse_failure(text)
    rows = list(_rows(text))
    chips = []
    for first, second in zip(rows[::2], rows[1::2], strict=False):
        chips.append(_chip(first, second))
    if not chips or len(rows) % 2:
        raise _unreadable("the table of npu-smi", rows[-1] if rows else text.strip())
    if len({(one.npu, one.chip) for one in chips}) != len(chips):
        raise _unreadable("the table of npu-smi", "a chip is named twice")
    return tuple(chips)


def _rows(text: str) -> Iterator[str]:
    """The data rows of the table of chips, two a chip. Where there are frames, one must follow each pair."""
    framed, since = False, 0
    for line in text[:LONGEST].splitlines():
        line = line.strip()
        if re.match(r"\|\s*NPU\s+Chip\s*\|", line):  # the table of processes
            break
        if line.startswith("+"):
            if since not in (0, 2):
                raise _unreadable("the table of npu-smi", "a chip has half its lines")
            framed, since = framed or line.startswith("+="), 0
        elif line.startswith("|") and not _is_heading(line):
            since += 1
            if framed and since > 2:
                raise _unreadable("the table of npu-smi", line)
            yield line
    if framed and since:
        raise _unreadable("the table of npu-smi", "it is cut")


def _is_heading(line: str) -> bool:
    return bool(
        re.match(r"\|\s*npu-smi \S+\s+Version: ", line)
        or re.match(r"\|\s*NPU\s+Name\s*\|\s*Health\s*\|.*\|$", line)
        or re.match(r"\|\s*Chip(\s+(Device|Phy-ID))?\s*\|\s*Bus-Id\s*\|.*\|$", line)
    )


def _chip(first: str, second: str) -> Chip:
    one, health, state = _matched(first, FIRST_CELLS)
    two, bus, use = _matched(second, SECOND_CELLS)
    return Chip(
        npu=int(one[1]),
        chip=int(two[1]),
        device=int(two[2]) if two[2] and two[2].isdigit() else None,
        name=one[2],
        health=health[0],
        power_w=_number(state[1]),
        temperature_c=_number(state[2]),
        hugepages_used=int(state[3]),
        hugepages_total=int(state[4]),
        bus_id=None if bus[0] in NOTHING else bus[0],
        aicore_percent=_number(use[1]),
        ddr_used_mb=int(use[2]),
        ddr_total_mb=int(use[3]),
        hbm_used_mb=int(use[4] or 0),
        hbm_total_mb=int(use[5] or 0),
    )


def _matched(line: str, patterns: tuple[re.Pattern[str], ...]) -> list[re.Match[str]]:
    cells = line.split("|")
    if len(cells) != len(patterns) + 2 or cells[0].strip() or cells[-1].strip():
        raise _unreadable("a line of npu-smi", line)
    found = [pattern.fullmatch(cell.strip()) for pattern, cell in zip(patterns, cells[1:-1], strict=True)]
    if not all(found):
        raise _unreadable("a line of npu-smi", line)
    return [one for one in found if one]


def parse_list(text: str) -> tuple[Card, ...]:
    """The cards of `npu-smi info -l`. DeviceError where their number is not the total that it prints."""
    _refuse_failure(text)
    total, cards = None, list[Card]()
    for name, value in _pairs(text):
        if name == "Total Count":
            total = _whole(value, "npu-smi info -l")
        elif name == "NPU ID":
            cards.append(Card(_whole(value, "npu-smi info -l"), 0))
        elif cards and name == "Chip Count":
            cards[-1] = Card(cards[-1].npu, _whole(value, "npu-smi info -l"), cards[-1].product)
        elif cards and name == "Product Name":
            cards[-1] = Card(cards[-1].npu, cards[-1].chips, value)
    if not cards or total != len(cards) or not all(card.chips for card in cards):
        raise _unreadable("npu-smi info -l", text.strip())
    return tuple(cards)


def parse_map(text: str) -> tuple[Place, ...]:
    """The chips of `npu-smi info -m` that compute; a row whose logic id is `-` is the card's controller (Mcu)."""
    _refuse_failure(text)
    lines = [line.split() for line in text[:LONGEST].splitlines() if line.strip()]
    heads = [i for i, words in enumerate(lines) if words[:2] == ["NPU", "ID"]]
    if not heads:
        raise _unreadable("npu-smi info -m", text.strip())
    columns = 4 if "Phy-ID" in lines[heads[0]] else 3
    places = []
    for words in lines[heads[0] + 1 :]:
        ids, name = words[:columns], " ".join(words[columns:])
        if len(ids) < columns or not name or not all(word.isdecimal() or word in ("-", "NA", "N/A") for word in ids):
            raise _unreadable("npu-smi info -m", " ".join(words))
        if ids[2].isdecimal():
            places.append(Place(_whole(ids[0], name), _whole(ids[1], name), _whole(ids[2], name), name))
    if not places:
        raise _unreadable("npu-smi info -m", text.strip())
    return tuple(places)


def parse_reading(text: str) -> tuple[Reading, ...]:
    """What `-t usages`, `temp`, `power` or `common` says, one Reading a chip; a card of two chips prints two blocks.

    DeviceError for a failure, an unknown chip and a value that is no number; a query that the chip does not support
    (power on a 310P) gives one empty Reading.
    """
    _refuse_failure(text)
    if re.search(r"does not support|not support", text):
        return (Reading(),)
    values = list(_values(text))
    if not any(field != "chip" for field, _ in values):
        raise _unreadable("npu-smi info -t", text.strip())
    # "Chip ID" ends a chip's block in the lists of a card and begins it where one chip was asked for.
    ends = values[0][0] != "chip"
    blocks: list[dict[str, float | None]] = [{}]
    for field, value in values:
        full = "chip" in blocks[-1] if ends else field == "chip" and bool(blocks[-1])
        if full:
            blocks.append({})
        if field in blocks[-1]:
            raise _unreadable("npu-smi info -t", f"{field} comes twice for one chip")
        blocks[-1][field] = value
    readings = tuple(_reading(block) for block in blocks)
    distinct = {one.chip for one in readings if one.chip is not None and one != Reading(chip=one.chip)}
    if len(readings) > 1 and len(distinct) != len(readings):
        raise _unreadable("npu-smi info -t", "it does not say which chip is which")
    return readings


def _values(text: str) -> Iterator[tuple[str, float | None]]:
    for name, value in _pairs(text):
        for field, pattern in READINGS.items():
            if re.fullmatch(pattern, name, re.IGNORECASE):
                if not re.fullmatch(NUMBER, value):
                    raise _unreadable("npu-smi info -t", f"{name} : {value}")
                yield field, _number(value)


def _reading(block: dict[str, float | None]) -> Reading:
    chip = block.pop("chip", None)
    return Reading(**block, chip=None if chip is None else int(chip))


def parse_board(text: str) -> BoardDetails:
    """What `npu-smi info -t board -i N [-c C]` says. DeviceError where it gives neither a version nor a name."""
    _refuse_failure(text)
    pairs = {name: "" if value in NOTHING else value for name, value in _pairs(text)}
    names = ("Software Version", "Firmware Version", "NPU Name", "Chip Name")
    found = BoardDetails(*(pairs.get(name, "")[:64] for name in names))
    if found == BoardDetails(firmware=found.firmware):
        raise _unreadable("npu-smi info -t board", text.strip())
    return found


def failure(text: str) -> DeviceError | None:
    """The error that an output of npu-smi tells of, with its cause and remedy; None where it tells of none."""
    if "-8020" in text:
        return DeviceError(
            "npu-smi answers -8020: the device is used by another container or virtual machine.",
            "Leave the device to one owner: stop the other container, or start it without /dev/davinci*.",
        )
    if "-8005" in text:
        return DeviceError(
            "npu-smi answers -8005: the driver does not let it in, is not there, or was changed without a restart.",
            "Restart after an upgrade; check driver and firmware (new: driver first; upgrade: firmware first); add the "
            "user to the group HwHiAiUser or use sudo; in a container mount /dev/davinci*, davinci_manager, devmm_svm, "
            "hisi_hdc (310B boards: svm0, ts_aisle, upgrade, sys, vdec, vpc, pngd, venc, dvpp_cmdlist and log_drv for "
            "the last two), /usr/local/dcmi and the driver's lib64.",
        )
    found = re.search(r"dcmi (?:module|model) initiali[sz]ed? failed.*?(-\d+)", text)
    if found:
        return DeviceError(f"npu-smi answers {found.group(1)}: DCMI does not start.", "Look at dmesg and the driver.")
    if "This device does not exist" in text:
        return DeviceError("npu-smi knows no chip of that number.", "Ask `npu-smi info -l`: ids need not count from 0.")
    return None


def _refuse_failure(text: str) -> None:
    error = failure(text[:LONGEST])
    if error:
        raise error


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """The lines `<TAB>name, padded to 30 : value`."""
    for line in text[:LONGEST].splitlines():
        name, colon, value = line.partition(" : ")
        if colon:
            yield name.strip(), value.strip()
        elif line.rstrip().endswith(" :"):
            yield line.rstrip()[:-2].strip(), ""


def _number(text: str) -> float | None:
    return None if text in NOTHING else float(text)


def _whole(text: str, where: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise _unreadable(where, text)
    return int(text)


def _unreadable(what: str, text: str) -> DeviceError:
    shown = " ".join(text.split())[:160] or "nothing"
    return DeviceError(f"{what[0].upper()}{what[1:]} cannot be read: {shown}.", "Run `npu-smi info` on the device.")
