"""What stands between this machine and a running .om, with the remedy for each: driver, rights, CANN, compilation.

Causes and remedies: the vendor's documents and users' threads, as in the fact sheet's tables of -8005, -8020 and of
symptoms. A stand-in is labelled simulated, and what it does not need is said and not failed. The same holds for a
machine without a chip, where models are converted only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError
from edgewright.core.facts import Check
from edgewright.core.record import Record
from edgewright.targets import checks
from edgewright.targets.cann import ask_system, chip, compiling, toolkit
from edgewright.targets.cann.chip import Answer, Sight
from edgewright.targets.cann.toolkit import Toolkit

QUESTION = Path(__file__).with_name("ask_system.py")
MIB = 1 << 20
LEAST_FREE = 128 * MIB
"""Device memory below which not even a small detector loads with its buffers; our own figure."""
GET_CANN = (
    "Install the CANN toolkit or runtime, or name its folder with `toolkit:`; without a board, "
    "`make -C cannsim install PREFIX=$PWD/.cann` puts a stand-in here."
)


@dataclass(frozen=True)
class System(Record):
    """What ask_system.py says; `nodes` maps /dev/davinci* and its companions to whether we may use them."""

    driver_root: str
    driver: str
    firmware: str
    nodes: Mapping[str, bool]
    container: bool
    python: str
    python_version: str
    packages: Mapping[str, str]
    compiler: str
    operators: tuple[str, ...]
    disk_free: int
    memory_available: int
    user: str
    root: bool
    group: bool
    member: bool


@dataclass(frozen=True)
class Findings:
    """All that was asked of one device. `bare`: no driver, no device file and no chip, so nothing runs here."""

    system: System
    found: Toolkit
    sight: Sight
    answer: Answer
    trouble: tuple[str, str] = field(default=("", ""))

    @property
    def simulated(self) -> bool:
        return self.found.simulated

    @property
    def bare(self) -> bool:
        return not (self.simulated or self.system.driver or self.system.nodes or self.sight.chips)


async def doctor(link: Link) -> tuple[Check, ...]:
    """Every check of the family on the device of `link`; nothing is changed there."""
    found = await toolkit.find(link)
    python = await checks.on_device(link, "numpy")
    if found is None:
        return (Check("CANN", False, f"none in reach on {link.address}", GET_CANN), python)
    system = await _system(link, found)
    sight = await chip.look(link, found)
    answer, trouble = Answer(), ("", "")
    try:
        answer = await chip.ask(link, found)
        trouble = chip.explained(answer) if answer.call else trouble
    except DeviceError as error:
        trouble = (error.message, error.remedy)
    seen = Findings(system, found, sight, answer, trouble)
    device = [_cann(found), *_driver(seen), *_chip(seen), _profiler(found)]
    converting = compiling.checks(found, system.to_json(), sight.soc_version or answer.soc)
    labelled = [_labelled(check, found) for check in [*device, *converting]]
    room = compiling.room(system.disk_free, system.memory_available) if found.converts else ()
    return (labelled[0], python, *labelled[1:], *room)


async def _system(link: Link, found: Toolkit) -> System:
    path = found.converting["PATH"]
    argv = [link.python, "-c", QUESTION.read_text(encoding="utf-8"), found.root, path, *compiling.PACKAGES]
    done = await link.run(argv, timeout_s=120)
    try:
        return System.from_json(json.loads(done.stdout.strip().splitlines()[-1]))
    except (ValueError, TypeError, IndexError, RecursionError):
        reason = " ".join(done.stderr.split())[-300:] or "it said nothing"
        raise DeviceError(f"{link.address} does not say what it has: {reason}.", "Look at its Python.") from None


def _labelled(check: Check, found: Toolkit) -> Check:
    if not found.simulated:
        return check
    return Check(check.name, check.ok, f"simulated: {check.detail}", check.remedy, check.required)


def _cann(found: Toolkit) -> Check:
    kind = "toolkit" if found.converts else "runtime"
    detail = (
        f"{kind} {found.version or 'of unknown version'}, layout of {found.layout}.x, {found.root} ({found.found_by})"
    )
    return Check("CANN", True, detail)


def _profiler(found: Toolkit) -> Check:
    path = found.tools.get("msprof", "")
    remedy = "Profiles of an .om need msprof of the toolkit (on a board: /var/msprof)."
    return Check("msprof", bool(path), path or "no msprof", "" if path else remedy, required=False)


def _driver(seen: Findings) -> Iterator[Check]:
    system, sight = seen.system, seen.sight
    if seen.simulated:
        yield Check("driver and firmware", True, "the stand-in needs none")
    elif seen.bare:
        yield Check("driver and firmware", True, "none: this machine converts models and runs none", required=False)
    else:
        order = "New: driver first, then firmware; upgrade: firmware first, then driver; then restart."
        where = f"{system.driver_root}/driver/version.info"
        # Containers are given the libraries and often not this file; npu-smi speaks for the driver then.
        usable = bool(system.driver or sight.chips)
        yield Check("driver", usable, system.driver or f"no {where}", "" if usable else f"Install it. {order}")
        yield Check(
            "firmware", bool(system.firmware), system.firmware or "no version.info", "" if system.firmware else order,
            required=False,
        )  # fmt: skip
    yield _permissions(seen)
    side = [node for node, allowed in system.nodes.items() if not allowed and node in ask_system.MORE_NODES]
    if side and not seen.simulated:
        detail = f"{system.user} may not use {', '.join(side)}; that an .om needs them is not confirmed"
        yield Check(
            "the board's other nodes",
            False,
            detail,
            "Look at their owner and group where AscendCL fails.",
            required=False,
        )


def _permissions(seen: Findings) -> Check:
    system = seen.system
    if seen.simulated or seen.bare:
        return Check(
            "rights to the device", True, "there is no /dev/davinci* to have rights to", required=not seen.bare
        )
    shut = [node for node, allowed in system.nodes.items() if not allowed and node not in ask_system.MORE_NODES]
    chips = [node for node in system.nodes if node.startswith("/dev/davinci") and node[12:].isdigit()]
    who = "root" if system.root else f"{system.user}, {'in' if system.member else 'not in'} the group HwHiAiUser"
    if shut:
        remedy = f"sudo usermod -aG HwHiAiUser {system.user}, then log in again; or use sudo."
        return Check("rights to the device", False, f"{who} may not use {', '.join(shut)}", remedy)
    if not chips:
        remedy = chip.NO_RIGHT if system.container else "Install driver and firmware, then restart."
        return Check("rights to the device", False, f"no /dev/davinci* here ({who})", remedy)
    return Check("rights to the device", True, f"{who}; {', '.join(chips)}")


def _chip(seen: Findings) -> Iterator[Check]:
    if seen.bare:
        yield Check("chip", True, "none: this machine converts models and runs none", required=False)
        return
    sight, answer = seen.sight, seen.answer
    shown = ", ".join(f"{one.name} ({one.health})" for one in sight.chips)
    # What AscendCL says decides: npu-smi needs rights of its own, and containers often lack it.
    yield Check("npu-smi", bool(sight.chips), shown or sight.problem, sight.remedy, required=bool(answer.call))
    problem, remedy = seen.trouble
    told = f"{answer.soc}, run mode {answer.run_mode or 'unknown'}, {answer.devices} device(s)"
    yield Check("AscendCL", not problem, problem or told, remedy)
    for one in sight.chips:
        yield _health(one.name, one.health, one.temperature_c)
    if answer.total or sight.chips:
        yield _memory(seen)


def _health(name: str, health: str, celsius: float | None) -> Check:
    """An alarm is shown and does not fail the board: some 310B boards report one all the time and work (user)."""
    detail = f"{name}: {health}" + (f", {celsius:g} °C" if celsius is not None else "")
    remedy = "`npu-smi info -t health` names the fault; cool the board: it slows down or stops when hot."
    fine = health.upper() == "OK"
    return Check("health", fine, detail, "" if fine else remedy, required=health.lower() == "critical")


def _memory(seen: Findings) -> Check:
    """npu-smi and AscendCL count differently; the less that either finds free is what can be relied on."""
    free = [seen.answer.free] if seen.answer.total else []
    free += [(one.memory_total_mb - one.memory_used_mb) * MIB for one in seen.sight.chips[:1]]
    total = seen.answer.total or seen.sight.chips[0].memory_total_mb * MIB
    fine = min(free) >= LEAST_FREE
    detail = f"{min(free) // MIB} of {total // MIB} MiB free"
    return Check("device memory", fine, detail, "" if fine else "End what uses it; `npu-smi info` lists processes.")
