"""What an Ascend device is: its machine, its chip, its CANN. Nothing is measured on the chip."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError
from edgewright.core.facts import Facts
from edgewright.targets import probing
from edgewright.targets.cann import boards, chip, toolkit
from edgewright.targets.cann.boards import Board
from edgewright.targets.cann.chip import Answer, Sight
from edgewright.targets.cann.toolkit import Toolkit

INSTALL = "Install CANN (toolkit or nnrt) there, or name its folder with `toolkit:` in the target's entry."


async def probe(link: Link) -> Facts:
    """Facts of the family "cann".

    `peaks` are nominal, from the board's row (the vendor's dense int8 TOPS, and half of them for fp16, in GOP/s), not
    measured: a matrix product would need atc on the device. They are absent on a stand-in and for chips without a
    figure. `accelerator` has chip "" on a machine that has CANN and no chip, where models are converted only.
    DeviceError where there is no CANN, and where a chip is there and cannot be used.
    """
    found = await toolkit.find(link)
    if found is None:
        raise DeviceError(f"No CANN is in reach on {link.address}.", INSTALL)
    sight = await chip.look(link, found)
    answer = await chip.ask(link, found)
    _refuse_a_chip_out_of_reach(sight, answer)
    facts = await probing.probe(link, "cann", {})
    rows = boards.by_chip(_soc(sight, answer))
    memory = _memory(sight, answer)
    return replace(
        facts,
        family="cann",
        runtimes={**facts.runtimes, **_versions(found, sight)},
        peaks=nominal(rows[0]) if rows and not found.simulated else {},
        simulated=found.simulated,
        accelerator={
            **_accelerator(found, sight, answer),
            "run_mode": answer.run_mode or (rows[0].run_mode if rows else ""),
            "memory": memory,
            "board": _board(rows, facts.board, memory),
        },
        environment=dict(found.environment),
    )


def nominal(row: Board) -> dict[str, float]:
    """GOP/s of the data sheet, {} where it gives none; fp16 is half of int8 on these chips."""
    return {"int8": row.tops_int8 * 1e3, "fp16": row.tops_int8 * 5e2} if row.tops_int8 else {}


def _refuse_a_chip_out_of_reach(sight: Sight, answer: Answer) -> None:
    """A chip that npu-smi shows, or says to be there, must answer; a machine without any driver is a host."""
    if not answer.call:
        return
    message, remedy = chip.explained(answer)
    if sight.chips:
        raise DeviceError(f"The chip {sight.chips[0].name} cannot be used: {message}.", remedy)
    if "-80" in sight.problem:
        raise DeviceError(sight.problem, sight.remedy)


def _soc(sight: Sight, answer: Answer) -> str:
    """npu-smi's name by the vendor's rule; where npu-smi is not to be had (containers), what AscendCL says."""
    return sight.soc_version or answer.soc


def _memory(sight: Sight, answer: Answer) -> int:
    """Bytes of the chip's memory, 0 where nobody tells."""
    return answer.total or (sight.chips[0].memory_total_mb << 20 if sight.chips else 0)


def _board(rows: tuple[Board, ...], machine: str, memory: int) -> str:
    """The board's name: the one that the device tree names, or else the one with that much memory; "" else, because
    boards of other makers have the same chips."""
    named = [row for row in rows if row.product.split(" (")[0].lower() in machine.lower()]
    alike = [row for row in rows if abs(row.memory_gb * (1 << 30) - memory) <= memory / 4]
    return next((row.name for row in [*named, *alike]), "")


def _versions(found: Toolkit, sight: Sight) -> dict[str, str]:
    versions = {"cann": found.version, "driver": sight.board.software if sight.board else ""}
    return {name: version for name, version in versions.items() if version}


def _accelerator(found: Toolkit, sight: Sight, answer: Answer) -> dict[str, Any]:
    soc_version = _soc(sight, answer)
    return {
        "chip": soc_version.removeprefix("Ascend"),
        "soc_version": soc_version,
        "devices": answer.devices or len(sight.chips),
        "cann": found.version,
        "layout": found.layout,
        "toolkit": found.root,
        "npu_smi": bool(sight.chips),
        "atc": "atc" in found.tools,
        "amct": "amct_onnx" in found.tools,
        "msprof": "msprof" in found.tools,
        "health": sight.chips[0].health if sight.chips else "",
    }
