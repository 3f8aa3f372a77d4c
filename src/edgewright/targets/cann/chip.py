"""The chip of a device: what npu-smi and AscendCL say of it over a link, and what stands in their way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError
from edgewright.core.record import Record
from edgewright.targets.cann import npu_smi, soc
from edgewright.targets.cann.toolkit import Toolkit

QUESTION = Path(__file__).with_name("ask_acl.py")
MOUNTS = (
    "/dev/davinci*, davinci_manager, devmm_svm and hisi_hdc (310B boards have in the place of the last two svm0, "
    "ts_aisle, upgrade, sys, vdec, vpc, pngd, venc, dvpp_cmdlist and log_drv)"
)
"""What a container is given: cards by users' threads, 310B by ascend-docker-runtime, addAscend310BManagerDevice."""
NO_RIGHT = (
    "Add the user to the group HwHiAiUser, check driver and firmware with `npu-smi info`, and in a container mount "
    f"{MOUNTS}."
)
CAUSES = {
    507899: ("the driver refuses it (no right to the device, or the driver is not well)", NO_RIGHT),
    507033: ("the device does not start (in use, or not ready)", "Stop what uses it, then look at `npu-smi info`."),
    507008: ("there is no device to be had (no driver, or none given to this container)", NO_RIGHT),
    100039: ("the library is the one for linking only", "Take `stub` and `devlib` folders out of LD_LIBRARY_PATH."),
}
"""Codes that users report where a device is not there or not allowed; their causes are not the vendor's text."""


@dataclass(frozen=True)
class Answer(Record):
    """What AscendCL answered; `code` and `call` are those of the first call that failed, 0 and "" where none did."""

    library: str = ""
    devices: int = 0
    soc: str = ""
    run_mode: str = ""
    free: int = 0
    total: int = 0
    call: str = ""
    code: int = 0
    message: str = ""


@dataclass(frozen=True)
class Sight(Record):
    """What npu-smi shows: the chips, and the details of the first; `problem` and `remedy` where it shows none."""

    chips: tuple[npu_smi.Chip, ...] = ()
    board: npu_smi.BoardDetails | None = None
    problem: str = ""
    remedy: str = ""

    @property
    def soc_version(self) -> str:
        """By the vendor's rule, "" where there is no chip."""
        if not self.chips:
            return ""
        return soc.from_npu_smi_name(self.chips[0].name, self.board.npu_name if self.board else "")


async def ask(link: Link, toolkit: Toolkit, device: int = 0) -> Answer:
    """What AscendCL says, in a process of its own on the device. DeviceError where no answer comes at all."""
    argv = [link.python, "-c", QUESTION.read_text(encoding="utf-8"), str(device)]
    done = await link.run(argv, env=toolkit.environment, timeout_s=120)
    try:
        answer: Any = json.loads(done.stdout.strip().splitlines()[-1])
        return Answer.from_json(answer)
    except (ValueError, TypeError, IndexError, RecursionError):
        reason = " ".join((done.stderr or done.stdout).split())[-300:] or f"exit status {done.returncode}"
        raise DeviceError(
            f"AscendCL gave no answer on {link.address}: {reason}.", "Check driver, firmware and CANN with npu-smi."
        ) from None


def explained(answer: Answer) -> tuple[str, str]:
    """(what is wrong, what to do) for an answer with a failed call."""
    if answer.call == "dlopen":
        return f"the AscendCL library does not load: {answer.message}", "Install the driver and a CANN runtime."
    cause, remedy = CAUSES.get(
        answer.code, ("see the message", "Look at the log under ~/ascend/log and at `npu-smi info`.")
    )
    said = f": {answer.message}" if answer.message else ""
    return f"{answer.call} gives {answer.code}, {cause}{said}", remedy


async def look(link: Link, toolkit: Toolkit | None) -> Sight:
    """What npu-smi shows. Never raises for a chip that is not there or not allowed: it says so."""
    program = toolkit.tools.get("npu-smi", "npu-smi") if toolkit else "npu-smi"
    environment = toolkit.environment if toolkit else None
    try:
        done = await link.run([program, "info"], env=environment, timeout_s=60)
        chips = npu_smi.parse_info(done.stdout + "\n" + done.stderr if done.returncode else done.stdout)
    except DeviceError as error:
        return Sight(problem=error.message, remedy=error.remedy)
    return Sight(chips, await _details(link, program, environment, chips[0]))


async def _details(
    link: Link, program: str, environment: Mapping[str, str] | None, one: npu_smi.Chip
) -> npu_smi.BoardDetails:
    """Versions are the card's, the NPU Name is the chip's; "" where the board does not tell."""
    told = []
    for words in (["-i", str(one.npu)], ["-i", str(one.npu), "-c", str(one.chip)]):
        try:
            done = await link.run([program, "info", "-t", "board", *words], env=environment, timeout_s=60)
            told.append(npu_smi.parse_board(done.stdout))
        except DeviceError:
            told.append(npu_smi.BoardDetails())
    card, chip = told
    return npu_smi.BoardDetails(
        card.software or chip.software,
        card.firmware or chip.firmware,
        chip.npu_name or card.npu_name,
        chip.chip_name or card.chip_name,
    )
