"""Boards and cards with an Ascend chip, as data: what a person calls them, and what atc and a roof line need of them.

Sources: HW = a page of hiascend.com/document; C81 = platform_config of CANN 8.1.RC1; user = only seen in users'
repositories. `confirmed` is False where the pair of product and chip, or a figure, was not read in a vendor's text.
A figure of 0 is not known. Figures are nominal: the vendor's, for dense INT8; nothing here was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.core.errors import ConfigError
from edgewright.core.plugs import did_you_mean
from edgewright.core.record import Record


@dataclass(frozen=True)
class Board(Record):
    """`run_mode` is what aclrtGetRunMode gives: "device" where the NPU's own CPU runs the program (RC: one memory),
    "host" where the program sits on another machine's CPU (EP: copies). `memory_gb` is one chip's.
    `architecture` is that of the CPU that runs programs, "" where it depends on the host."""

    name: str
    product: str
    chip: str
    soc_version: str
    tops_int8: float
    memory_gb: float
    ai_cores: int
    run_mode: str
    architecture: str
    quirks: tuple[str, ...]
    confirmed: bool
    source: str


NO_RANGES = "no shape ranges: a fixed shape or gears"
RC = "program and network share the memory; convert elsewhere: atc is slow here or runs out of memory"
NO_PARSING = "msprof (/var/msprof) collects here and is parsed on another machine"
NO_BUS = "npu-smi prints Bus-Id NA; a container cannot ask -t usages"
NO_POWER = "npu-smi gives no power"
AIPP_1080 = "AIPP output is at most 1080 pixels wide"
ON_310B = (NO_RANGES, RC, NO_PARSING, NO_BUS)


# chip: TOPS (dense int8, one chip), AI cores, quirks. TOPS of 310B4 and 310B1: HW npusmi_007; of 310P3: half of
# the 280 that the press gives for an Atlas 300I Duo; of 310: not confirmed. Cores: C81.
CHIPS: dict[str, tuple[float, int, tuple[str, ...]]] = {
    "310B4": (8.0, 1, ON_310B),
    "310B1": (20.0, 1, ON_310B),
    "310": (22.0, 2, ()),
    "310P3": (140.0, 8, (AIPP_1080, NO_POWER)),
    "310P1": (0.0, 10, (AIPP_1080,)),
    "910B1": (0.0, 24, ()),
    "910B2": (0.0, 24, ()),
    "910B2C": (0.0, 24, ()),
    "910B3": (0.0, 20, ()),
    "910B4": (0.0, 20, ()),
    "910B4-1": (0.0, 20, ()),
    "910_9362": (0.0, 20, ()),
    "910_9372": (0.0, 20, ()),
    "910_9381": (0.0, 24, ()),
    "910_9382": (0.0, 24, ()),
    "910_9391": (0.0, 24, ()),
    "910_9392": (0.0, 24, ()),
}

SEEN = "npu-smi of a board"
PAIR = "C81, user"

# name, product, chip, GB of one chip, run mode, CPU, confirmed, source
PRODUCTS: tuple[tuple[str, str, str, float, str, str, bool, str], ...] = (
    ("atlas-200i-dk-a2", "Atlas 200I DK A2", "310B4", 4, "device", "aarch64", True, f"C81, HW cannfaq_001, {SEEN}"),
    ("atlas-200i-a2-20t", "Atlas 200I A2 (20 TOPS)", "310B1", 12, "device", "aarch64", True, f"C81, {SEEN}"),
    ("orange-pi-aipro-20t", "Orange Pi AIpro (20 TOPS)", "310B1", 0, "device", "aarch64", False, "user"),
    ("atlas-200-dk", "Atlas 200 DK", "310", 8, "device", "aarch64", False, "HW EDOC1100164852; memory not confirmed"),
    ("atlas-300i-3000", "Atlas 300I 3000", "310", 8, "host", "", False, "HW, user; four chips a card, memory of one"),
    ("atlas-300i-3010", "Atlas 300I 3010", "310", 8, "host", "", False, "HW, user; four chips a card, memory of one"),
    ("atlas-300i-pro", "Atlas 300I Pro", "310P3", 24, "host", "", False, f"{PAIR}; memory not confirmed"),
    ("atlas-300i-duo", "Atlas 300I Duo", "310P3", 44, "host", "", False, f"{PAIR}; two chips a card; {SEEN}"),
    ("atlas-300v", "Atlas 300V", "310P3", 24, "host", "", False, f"{PAIR}; memory not confirmed"),
    ("atlas-300v-pro", "Atlas 300V Pro", "310P3", 48, "host", "", False, f"{PAIR}; memory not confirmed"),
    (
        "atlas-200i-soc-a1",
        "Atlas 200I SoC A1",
        "310P1",
        0,
        "device",
        "aarch64",
        False,
        "C81; product and run mode not confirmed",
    ),
    ("atlas-a2-910b1", "Atlas A2 machine, 910B1", "910B1", 0, "host", "", True, "C81"),
    ("atlas-a2-910b2", "Atlas A2 machine, 910B2", "910B2", 0, "host", "", True, "C81"),
    ("atlas-a2-910b2c", "Atlas A2 machine, 910B2C", "910B2C", 0, "host", "", True, "C81"),
    ("atlas-a2-910b3", "Atlas A2 machine, 910B3", "910B3", 64, "host", "", True, f"C81, {SEEN}"),
    ("atlas-a2-910b4", "Atlas A2 machine, 910B4", "910B4", 0, "host", "", True, "C81"),
    ("atlas-a2-910b4-1", "Atlas A2 machine, 910B4-1", "910B4-1", 0, "host", "", True, "C81"),
    ("atlas-a3-9362", "Atlas A3 machine, 9362", "910_9362", 0, "host", "", True, "C81"),
    ("atlas-a3-9372", "Atlas A3 machine, 9372", "910_9372", 0, "host", "", True, "C81"),
    ("atlas-a3-9381", "Atlas A3 machine, 9381", "910_9381", 0, "host", "", True, "C81"),
    ("atlas-a3-9382", "Atlas A3 machine, 9382", "910_9382", 0, "host", "", True, "C81"),
    ("atlas-a3-9391", "Atlas A3 machine, 9391", "910_9391", 0, "host", "", True, "C81"),
    ("atlas-a3-9392", "Atlas A3 machine, 9392", "910_9392", 0, "host", "", True, "C81"),
)


def _board(
    name: str, product: str, chip: str, memory: float, run_mode: str, cpu: str, confirmed: bool, source: str
) -> Board:
    tops, cores, quirks = CHIPS[chip]
    return Board(
        name, product, chip, f"Ascend{chip}", tops, float(memory), cores, run_mode, cpu, quirks, confirmed, source
    )


BOARDS = tuple(_board(*row) for row in PRODUCTS)


def board(name: str) -> Board:
    """The board of that name ("atlas-200i-dk-a2"; capitals, spaces and underscores do not matter).

    ConfigError, with the nearest name, for an unknown one.
    """
    wanted = name.strip().lower().replace(" ", "-").replace("_", "-")
    for row in BOARDS:
        if wanted in (row.name, row.product.lower().replace(" ", "-")):
            return row
    raise ConfigError(f"No Ascend board is called '{name}'.", did_you_mean(wanted, tuple(row.name for row in BOARDS)))


def by_chip(chip: str) -> tuple[Board, ...]:
    """Every board with that chip, the most usual first; `chip` as npu-smi or atc names it ("310B4", "Ascend310B4").

    Empty for a chip that no row has.
    """
    bare = chip.strip().removeprefix("Ascend").strip().upper()
    return tuple(row for row in BOARDS if row.chip.upper() == bare)
