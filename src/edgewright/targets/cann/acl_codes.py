"""What the return codes of AscendCL mean, from the table beside this file (names: the published headers)."""

from __future__ import annotations

import functools
from pathlib import Path

RANGES = {
    1: ("The program called it wrongly.", "Read aclGetRecentErrMsg, which names the parameter."),
    2: ("Something it needs is missing or used up.", "Check memory, device and rights with npu-smi info."),
    3: ("The storage is full.", "Free some space on the device."),
    5: ("Something inside failed.", "Read aclGetRecentErrMsg and the log in ~/ascend/log."),
}
"""By the first figure: 1xxxxx the caller, 2xxxxx resources, 300000 storage, 5xxxxx internal (vendor)."""


def describe_acl(code: int) -> tuple[str, str]:
    """(meaning, remedy) of a return code of AscendCL, one sentence each; the name of the code stands in the meaning."""
    if code == 0:
        return "Success.", ""
    name, meaning, remedy = _codes().get(code, ("", "", ""))
    general, advice = RANGES.get(code // 100_000, ("A code that the published headers do not have.", "Read the log."))
    told = f"{name}: {meaning or general}" if name else general
    return told, remedy or advice


@functools.cache
def _codes() -> dict[int, tuple[str, str, str]]:
    lines = (Path(__file__).parent / "acl_codes.tsv").read_text(encoding="utf-8").splitlines()[1:]
    rows = (line.split("\t") for line in lines)
    return {int(code): (name, meaning, remedy) for code, name, meaning, remedy in rows}
