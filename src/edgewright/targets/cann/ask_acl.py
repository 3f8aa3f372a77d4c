"""Runs on the device (Python >= 3.8, standard library alone): asks AscendCL what it has under it.

`python -c <this file> DEVICE`, started with the toolkit's variables, prints one JSON object: {"library", "devices",
"soc", "run_mode", "free", "total"} as far as the calls went, and {"call", "code", "message"} of the first that failed.
Calls and values: the vendor's acl_rt.h (aclrtRunMode: ACL_DEVICE 0, ACL_HOST 1; aclrtMemAttr: ACL_DDR_MEM 0,
ACL_HBM_MEM 1).
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any

LIBRARIES = ("libascendcl.so", "libacl_rt.so")  # 9.x is to drop the first
REPEATED_INIT = 100002


def main(device: int) -> None:
    answer: dict[str, Any] = {}
    library = _library(answer)
    if library is not None:
        _ask(library, device, answer)
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


def _library(answer: dict[str, Any]) -> ctypes.CDLL | None:
    for name in LIBRARIES:
        try:
            library = ctypes.CDLL(name)
        except OSError as error:
            answer.setdefault("call", "dlopen")
            answer.setdefault("code", 0)
            answer.setdefault("message", str(error)[:400])
            continue
        answer.clear()
        answer["library"] = name
        return library
    return None


def _ask(library: ctypes.CDLL, device: int, answer: dict[str, Any]) -> None:
    """Everything that was taken is given back, in the vendor's order, also when a call in between fails."""
    if _failed(library, answer, "aclInit", library.aclInit(None), REPEATED_INIT):
        return
    try:
        count = ctypes.c_uint32()
        if _failed(library, answer, "aclrtGetDeviceCount", library.aclrtGetDeviceCount(ctypes.byref(count))):
            return
        answer["devices"] = count.value
        if _failed(library, answer, "aclrtSetDevice", library.aclrtSetDevice(ctypes.c_int32(device))):
            return
        try:
            _ask_device(library, answer)
        finally:
            library.aclrtResetDevice(ctypes.c_int32(device))
    finally:
        library.aclFinalize()


def _ask_device(library: ctypes.CDLL, answer: dict[str, Any]) -> None:
    library.aclrtGetSocName.restype = ctypes.c_char_p
    soc = library.aclrtGetSocName()
    answer["soc"] = soc.decode("utf-8", "replace")[:64] if soc else ""
    mode = ctypes.c_int()
    if not _failed(library, answer, "aclrtGetRunMode", library.aclrtGetRunMode(ctypes.byref(mode))):
        answer["run_mode"] = {0: "device", 1: "host"}.get(mode.value, "")
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    for kind in (1, 0):  # HBM; chips without any answer with an error or with nothing
        code = library.aclrtGetMemInfo(ctypes.c_int(kind), ctypes.byref(free), ctypes.byref(total))
        if code == 0 and total.value:
            answer["free"], answer["total"] = free.value, total.value
            return


def _failed(library: ctypes.CDLL, answer: dict[str, Any], call: str, code: int, harmless: int = 0) -> bool:
    if code in (0, harmless):
        return False
    library.aclGetRecentErrMsg.restype = ctypes.c_char_p
    message = library.aclGetRecentErrMsg()
    answer.setdefault("call", call)
    answer.setdefault("code", int(code))
    answer.setdefault("message", " ".join((message or b"").decode("utf-8", "replace").split())[:400])
    return True


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["0"])[0]))
