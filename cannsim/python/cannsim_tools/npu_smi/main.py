"""`npu-smi info …`: the table, the lists, the details by type, in the layouts of real boards."""

from __future__ import annotations

import sys
import time

from ..installation import fault, installation
from .device import State, read_state

VERSIONS = {8: "25.0.rc1.1", 9: "25.5.0"}
TYPES = ("board", "memory", "usages", "temp", "power", "common", "health", "product")
THIN = "+--------------------------------------------------------------------------------------------------------+"
PARTS = "+-------------------------------+-----------------+------------------------------------------------------+"
THICK = "+===============================+=================+======================================================+"
USAGE = """Usage: npu-smi info [-l | -m | watch | -t <type> -i <npu id> [-c <chip id>]]
(cannsim: a simulated device; no figure here is measured on hardware)"""


def main(arguments: list[str]) -> int:
    wrong = fault()
    if wrong in ("-8005", "no-permission"):
        print("dcmi module initialize failed. ret is -8005")
        return 1
    if wrong == "busy":
        print("dcmi model initialized failed, because the device is used. ret is -8020")
        return 1
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    if arguments[0] in ("-v", "--version"):
        print(f"npu-smi version: {version()} (simulated)")
        return 0
    if arguments[0] != "info":
        return _wrong(f"npu-smi {arguments[0]}")
    return _info(arguments[1:])


def version() -> str:
    return VERSIONS.get(installation().major, VERSIONS[8])


def _wrong(what: str) -> int:
    print(f"Error parameter of {what}\n{USAGE}")
    return 1


def _info(words: list[str]) -> int:
    if not words:
        print(table(read_state()))
        return 0
    if words == ["-l"]:
        _lines(("Total Count", 1), ("NPU ID", read_state().board.npu), ("Chip Count", 1))
        return 0
    if words == ["-m"]:
        chip = read_state().board
        print(f"\t{'NPU ID':<30} {'Chip ID':<30} {'Chip Logic ID':<30} {'Chip Name':<30}")
        print(f"\t{chip.npu:<30} {0:<30} {0:<30} {'Ascend ' + chip.name:<30}")
        return 0
    if words[0] == "watch":
        return _watch()
    pairs = dict(zip(words[::2], words[1::2], strict=False))
    if len(words) % 2 or set(pairs) - {"-t", "-i", "-c"} or pairs.get("-t") not in TYPES:
        return _wrong("npu-smi info")
    state = read_state()
    if pairs.get("-i", str(state.board.npu)) != str(state.board.npu) or pairs.get("-c", "0") != "0":
        print("This device does not exist.")
        return 1
    return _details(pairs["-t"], state)


def table(state: State) -> str:
    """The vendor's table, to the column: real readers split it on `|`."""
    chip = state.board
    name = f"npu-smi {version()}"
    power = "NA" if state.watt is None else f"{state.watt:.1f}"
    pages = f"{chip.hugepages:<5} / {chip.hugepages}"
    memory = f"{state.memory_mb:<4} / {chip.memory_mb}"
    rows = [
        THIN,
        f"| {name:<48} Version: {version():<45}|",
        PARTS,
        "| NPU     Name                  | Health          | Power(W)     Temp(C)           Hugepages-Usage(page) |",
        "| Chip    Device                | Bus-Id          | AICore(%)    Memory-Usage(MB)                        |",
        THICK,
        f"| {chip.npu:<7} {chip.name:<21} | {state.health:<15} | {power:<12} {state.celsius:<17} {pages:<21} |",
        f"| {0:<7} {0:<21} | {chip.bus:<15} | {state.aicore:<12} {memory:<39} |",
        THICK,
    ]
    if chip.bus != "NA":
        rows += [
            PARTS,
            f"| {'NPU     Chip':<29} | {'Process id':<15} | {'Process name':<24} | {'Process memory(MB)':<25} |",
            THICK,
        ]
        for one in state.processes:
            rows.append(f"| {chip.npu:<7} {0:<21} | {one.pid:<15} | {one.name:<24} | {one.memory_mb:<25} |")
        if not state.processes:
            rows.append(f"| {'No running processes found in NPU ' + str(chip.npu):<102} |")
        rows.append(THICK)
    return "\n".join(rows)


def _lines(*pairs: tuple[str, object]) -> None:
    for name, value in pairs:
        print(f"\t{name:<30} : {value}")


def _details(kind: str, state: State) -> int:
    chip = state.board
    used = round(100 * state.memory_mb / chip.memory_mb)
    head = (("NPU ID", chip.npu), ("Chip Count", 1))
    if kind == "power" and state.watt is None:
        print(f"npu-smi: the NPU {chip.name} does not support querying power.")
        return 1
    power = (("NPU Real-time Power(W)", "NA" if state.watt is None else f"{state.watt:.1f}"),)
    details: dict[str, tuple[tuple[str, object], ...]] = {
        "board": (
            *head[:1], ("Software Version", version()), ("Firmware Version", "simulated"), ("Compatibility", "OK"),
            ("Board ID", "cannsim"), ("PCB ID", "NA"), ("BOM ID", "NA"), ("Chip Count", 1),
        ),
        "memory": (*head, ("DDR Capacity(MB)", chip.memory_mb), ("DDR Clock Speed(MHz)", "NA"), ("Chip ID", 0)),
        "usages": (
            *head, ("Memory Capacity(MB)", chip.memory_mb), ("Memory Usage Rate(%)", used),
            ("Hugepages Total(page)", chip.hugepages), ("Hugepages Usage Rate(%)", 100 if chip.hugepages else 0),
            ("Aicore Usage Rate(%)", state.aicore), ("Aicpu Usage Rate(%)", 0), ("Ctrlcpu Usage Rate(%)", 0),
            ("Memory Bandwidth Usage Rate(%)", 0), ("Chip ID", 0),
        ),
        "temp": (*head, ("NPU Temperature (C)", state.celsius), ("Chip ID", 0)),
        "power": (*head, *power, ("Chip ID", 0)),
        "common": (
            *head, ("Memory Usage Rate(%)", used), ("Hugepages Usage Rate(%)", 100 if chip.hugepages else 0),
            ("Aicore Usage Rate(%)", state.aicore), ("Temperature(C)", state.celsius), *power, ("Chip ID", 0),
        ),
        "health": (("Health Status", state.health), ("Error Code", "NA"), ("Error Information", "NA")),
        "product": (("Product Name", "cannsim (simulated)"), ("Serial Number", "NA")),
    }  # fmt: skip
    _lines(*details[kind])
    return 0


def _watch() -> int:
    print(
        "NpuID(Idx)  ChipId(Idx) Pwr(W)      Temp(C)     AI Core(%)  AI Cpu(%)   Ctrl Cpu(%) Memory(%)   Memory BW(%)"
    )
    try:
        while True:
            state = read_state()
            power = "NA" if state.watt is None else f"{state.watt:.1f}"
            used = round(100 * state.memory_mb / state.board.memory_mb)
            words = (state.board.npu, 0, power, state.celsius, state.aicore, 0, 0, used, 0)
            print("".join(f"{word!s:<12}" for word in words), flush=True)
            time.sleep(1)
    except (KeyboardInterrupt, BrokenPipeError):
        sys.stderr.close()
        return 0
