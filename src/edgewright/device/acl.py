"""AscendCL by ctypes: the library, the calls with their types, and what its error codes mean.

Signatures are those of the vendor's public headers (acl/acl_rt.h, acl_mdl.h, acl_prof.h). CANN 8.x has all of them in
libascendcl.so, 9.x in libacl_rt.so and libacl_mdl.so; profiling may be in libmsprofiler.so.
"""

from __future__ import annotations

import ctypes
import os
import re
from typing import Any, Dict, List, Mapping, Tuple

from edgewright.device.service import ServiceError

WHOLE = ("libascendcl.so",)
HALVES = ("libacl_rt.so", "libacl_mdl.so")
PROFILING = "libmsprofiler.so"
HOMES = ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME")
REPEATED_INIT = 100002
DIMS, NAME, GEARS = 128, 128, 128
"""ACL_MAX_DIM_CNT, ACL_MAX_TENSOR_NAME_LEN, ACL_MAX_BATCH_NUM (= ACL_MAX_HW_NUM)."""
GEAR_INPUT, AIPP_INPUT = "ascend_mbatch_shape_data", "ascend_dynamic_aipp_data"
DEVICE, HOST = 0, 1
"""aclrtRunMode: the program runs on the device itself (one memory), or on a host with a card."""
TO_DEVICE, TO_HOST = 1, 2
"""aclrtMemcpyKind."""


class IODims(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char * NAME), ("count", ctypes.c_size_t), ("dims", ctypes.c_int64 * DIMS)]


class Batches(ctypes.Structure):
    _fields_ = [("count", ctypes.c_size_t), ("batch", ctypes.c_uint64 * GEARS)]


class ImageSizes(ctypes.Structure):
    _fields_ = [("count", ctypes.c_size_t), ("hw", (ctypes.c_uint64 * 2) * GEARS)]


_TYPES = {
    "s": ctypes.c_char_p,
    "p": ctypes.c_void_p,
    "i": ctypes.c_int32,
    "u": ctypes.c_uint32,
    "z": ctypes.c_size_t,
    "l": ctypes.c_uint64,
}
_CALLS = {  # those that answer an error code, and the types of their arguments
    "aclInit": "s", "aclFinalize": "", "aclrtGetVersion": "ppp",
    "aclrtSetDevice": "i", "aclrtResetDevice": "i", "aclrtGetRunMode": "p",
    "aclrtCreateContext": "pi", "aclrtDestroyContext": "p", "aclrtSetCurrentContext": "p",
    "aclrtMalloc": "pzi", "aclrtFree": "p", "aclrtMallocHost": "pz", "aclrtFreeHost": "p", "aclrtMemcpy": "pzpzi",
    "aclmdlQuerySize": "spp", "aclmdlLoadFromFile": "sp", "aclmdlUnload": "u",
    "aclmdlGetDesc": "pu", "aclmdlDestroyDesc": "p",
    "aclmdlGetInputDims": "pzp", "aclmdlGetInputDimsV2": "pzp", "aclmdlGetOutputDims": "pzp",
    "aclmdlGetCurOutputDims": "pzp", "aclmdlGetInputIndexByName": "psp",
    "aclmdlAddDatasetBuffer": "pp", "aclmdlDestroyDataset": "p", "aclDestroyDataBuffer": "p",
    "aclmdlExecute": "upp", "aclmdlGetFirstAippInfo": "uzp",
    "aclmdlGetDynamicBatch": "pp", "aclmdlGetDynamicHW": "pzp", "aclmdlGetInputDynamicGearCount": "pzp",
    "aclmdlGetInputDynamicDims": "pzpz",
    "aclmdlSetDynamicBatchSize": "upzl", "aclmdlSetDynamicHWSize": "upzll", "aclmdlSetInputDynamicDims": "upzp",
    "aclprofInit": "sz", "aclprofFinalize": "", "aclprofStart": "p", "aclprofStop": "p", "aclprofDestroyConfig": "p",
}  # fmt: skip
_VALUES = {  # those that answer a value: its type, and the types of their arguments
    "aclGetRecentErrMsg": ("s", ""), "aclrtGetSocName": ("s", ""),
    "aclmdlCreateDesc": ("p", ""), "aclmdlCreateDataset": ("p", ""), "aclCreateDataBuffer": ("p", "pz"),
    "aclmdlGetNumInputs": ("z", "p"), "aclmdlGetNumOutputs": ("z", "p"),
    "aclmdlGetInputSizeByIndex": ("z", "pz"), "aclmdlGetOutputSizeByIndex": ("z", "pz"),
    "aclmdlGetInputNameByIndex": ("s", "pz"), "aclmdlGetOutputNameByIndex": ("s", "pz"),
    "aclmdlGetTensorRealName": ("s", "ps"),
    "aclmdlGetInputDataType": ("i", "pz"), "aclmdlGetOutputDataType": ("i", "pz"),
    "aclprofCreateConfig": ("p", "puipl"),
}  # fmt: skip


class AclError(ServiceError):
    """A call of AscendCL that failed: `code` is the vendor's, `message` has its words, `remedy` what to do."""

    def __init__(self, message: str, remedy: str, code: int = 0) -> None:
        super().__init__(message, remedy)
        self.code = code


class Library:
    """AscendCL, loaded. `call(name, …)` raises AclError unless the answer is 0; `value(name, …)` gives the answer."""

    def __init__(self, named: str = "") -> None:
        self._parts, self.path = _loaded(named)
        self._functions: Dict[str, Any] = {}

    def has(self, name: str) -> bool:
        """Whether this version of the library offers the call."""
        try:
            self._function(name)
        except AclError:
            return False
        return True

    def code(self, name: str, *arguments: Any) -> int:
        """The error code of a call, whatever it is."""
        return int(self._function(name)(*arguments))

    def call(self, name: str, *arguments: Any) -> None:
        code = self._function(name)(*arguments)
        if code:
            raise self.error(name, code)

    def value(self, name: str, *arguments: Any) -> Any:
        return self._function(name)(*arguments)

    def error(self, name: str, code: int, about: str = "") -> AclError:
        """The AclError of a failed call, with the library's own account of this thread, which is thereby used up."""
        words = spoken(self.value("aclGetRecentErrMsg") or b"") if self.has("aclGetRecentErrMsg") else ""
        message = "%s failed with code %d%s" % (name, code, about and " for " + about)
        return AclError(message + (": " + words if words else "."), remedy(name, code), code)

    def _function(self, name: str) -> Any:
        found = self._functions.get(name)
        if found is None:
            found = self._functions[name] = self._declared(name)
        return found

    def _declared(self, name: str) -> Any:
        result, arguments = _VALUES[name] if name in _VALUES else ("i", _CALLS[name])
        if name.startswith("aclprof"):
            self._add_profiling()
        for part in self._parts:
            try:
                function = getattr(part, name)
            except AttributeError:
                continue
            function.restype, function.argtypes = _TYPES[result], [_TYPES[kind] for kind in arguments]
            return function
        raise AclError(
            "The AscendCL library at %s has no call %s." % (self.path, name),
            "Install a newer CANN on the device, or point LD_LIBRARY_PATH at the one that is there.",
        )

    def _add_profiling(self) -> None:
        """The library of aclprof calls, where the toolkit keeps them apart."""
        for folder in ("", os.path.dirname(self.path)):
            try:
                self._parts.append(ctypes.CDLL(os.path.join(folder, PROFILING), mode=ctypes.RTLD_GLOBAL))
                return
            except OSError:
                continue  # then they are in the main library, or the call will be said to be missing


def _loaded(named: str) -> Tuple[List[ctypes.CDLL], str]:
    """The libraries, opened so that what they load later sees their symbols, and where the first was found."""
    reasons: List[str] = []
    for folder in _folders(named):
        for names in ((os.path.basename(named),),) if named.endswith(".so") else (WHOLE, HALVES):
            try:
                parts = [ctypes.CDLL(os.path.join(folder, name), mode=ctypes.RTLD_GLOBAL) for name in names]
            except OSError as error:
                reasons.append(str(error))
                continue
            return parts, _place_of(parts[0]) or os.path.join(folder, names[0])
    raise AclError(*_unloaded(reasons))


def _folders(named: str) -> List[str]:
    """Where to look, in order; "" leaves it to the loader, which knows LD_LIBRARY_PATH."""
    if named:
        return [os.path.dirname(os.path.abspath(named)) if named.endswith(".so") else os.path.abspath(named)]
    homes = [os.path.join(os.environ[home], "lib64") for home in HOMES if os.environ.get(home)]
    return ["", *homes]


class _Place(ctypes.Structure):
    """Dl_info of dladdr(3)."""

    _fields_ = [
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("symbol", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    ]


def _place_of(part: ctypes.CDLL) -> str:
    """The path by which the loader found a library, links unresolved: its folder is inside the toolkit."""
    place = _Place()
    try:
        address = ctypes.cast(part.aclInit, ctypes.c_void_p)
        found = ctypes.CDLL(None).dladdr(address, ctypes.byref(place))
    except AttributeError:
        return ""
    return os.fsdecode(place.file) if found and place.file else ""


def _unloaded(reasons: List[str]) -> Tuple[str, str]:
    own = WHOLE + HALVES
    needed = [reason for reason in reasons if not any(reason.split(":")[0].endswith(name) for name in own)]
    if needed:
        return (
            "AscendCL is there, but a library that it needs is not: %s." % needed[0],
            "Put the driver's folders (such as /usr/local/Ascend/driver/lib64 and its common and driver folders) into "
            "LD_LIBRARY_PATH before the program starts.",
        )
    return (
        "The AscendCL library (%s, or %s) was not found." % (WHOLE[0], " with ".join(HALVES)),
        "Set LD_LIBRARY_PATH, or ASCEND_HOME_PATH, before the program starts, as the toolkit's set_env.sh does.",
    )


_HEAD = re.compile(r"^\[PID:[^\]]*\]\s*\S+\s*")
_TRACE = re.compile(r"^\s*(TraceBack|\[PID:.*TraceBack)")


def spoken(text: bytes) -> str:
    """The vendor's error text without process ids, times and call stacks: the newest two messages, at most 600 letters.

    Its form: `[PID: n] time Title(E10001): message`, indented lines with cause and solution, `TraceBack (…):`.
    """
    kept = []
    for line in text.decode("utf-8", "replace").splitlines():
        line = _HEAD.sub("", line).strip()
        if line and not _TRACE.match(line) and line not in kept:
            kept.append(line)
    return " ".join(" ".join(kept[:4]).split())[:600]


_DRIVER = {507008, 507033, 507899}
_MEMORY = {200000, 207001, 245000, 300000}
_REMEDIES: Mapping[int, str] = {
    100039: "LD_LIBRARY_PATH leads to the stub library that is only for linking; put the toolkit's lib64 first.",
    107001: "There is no device of that number; npu-smi info lists those that are there.",
    145013: "Feed one of the shapes (gears) that the .om was converted with.",
}
_NO_RIGHT = (
    "Check that npu-smi info works for this user: it must be in the group HwHiAiUser, see /dev/davinci*, and the "
    "driver must be loaded and match the firmware (restart after an upgrade)."
)
_NO_ROOM = (
    "Free memory on the device, or use a smaller batch, a smaller input or INT8; npu-smi info shows who holds it."
)
_OTHER_OM = (
    "Compare the chip and the CANN version that `atc --mode=6 --om=FILE` prints with this device's: an .om runs on its "
    "own chip with the same or a newer CANN; convert it again, or copy it again if it was cut."
)
_BUSY = "Another program or container holds the device; stop it, or give this one a device of its own."
_ASK_LOG = "The device's own log, under ~/ascend/log, has the whole account of this code."


def remedy(name: str, code: int) -> str:
    """What to do about a code of AscendCL (ranges: 1000xx caller, 2000xx resources, 107/207/507xxx runtime,
    145/245/545xxx graph engine)."""
    if code in _REMEDIES:
        return _REMEDIES[code]
    if code in _MEMORY:
        return _NO_ROOM
    loading = name.startswith(("aclmdlLoad", "aclmdlQuery", "aclmdlGetDesc"))
    if loading and (code // 1000 in (145, 545) or code in (100003, 100012, 100013, 500002)):
        return _OTHER_OM
    if name in ("aclInit", "aclrtSetDevice", "aclrtCreateContext") and code in _DRIVER:
        return _BUSY if code == 507033 else _NO_RIGHT
    return _NO_RIGHT if code in _DRIVER else _ASK_LOG
