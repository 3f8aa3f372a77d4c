"""Runs an .om on zeros as often as asked, over AscendCL: the program that msprof watches (see profile_om.sh).

    python3 profile_om.py MODEL.om [--loops 20] [--device 0]

Needs CANN's libraries in LD_LIBRARY_PATH, nothing else: neither numpy nor pyACL. Python >= 3.8. Copies in and out are
made for each run, so that the profile shows them. Models with gears or dynamic AIPP are refused: they want settings
that zeros cannot give. Exit status: 0 done, 2 wrong arguments, 3 the device refused, 4 no AscendCL library.
"""

from __future__ import annotations

import argparse
import ctypes as c
import sys
from typing import Any, Callable, List, Tuple

HOST_TO_DEVICE, DEVICE_TO_HOST = 1, 2
DYNAMIC = (b"ascend_mbatch_shape_data", b"ascend_dynamic_aipp_data")
Buffer = Tuple[c.c_void_p, int]


class Failure(Exception):
    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class AscendCL:
    """The calls used here, each checked; one library in CANN 8, two in CANN 9."""

    def __init__(self) -> None:
        self._libraries = self._load()
        for name in ("aclmdlCreateDesc", "aclmdlCreateDataset", "aclCreateDataBuffer"):
            self.function(name).restype = c.c_void_p
        for name in ("aclmdlGetNumInputs", "aclmdlGetNumOutputs"):
            self.function(name).restype = c.c_size_t
        for name in ("aclmdlGetInputSizeByIndex", "aclmdlGetOutputSizeByIndex"):
            self.function(name).restype = c.c_size_t
        self.function("aclGetRecentErrMsg").restype = c.c_char_p

    def function(self, name: str) -> Any:
        for library in self._libraries:
            if hasattr(library, name):
                return getattr(library, name)
        raise Failure("The AscendCL libraries have no %s; the toolkit is too old." % name, 4)

    def do(self, name: str, *arguments: Any) -> None:
        code = self.function(name)(*arguments)
        if code != 0:
            told = (self.function("aclGetRecentErrMsg")() or b"").decode(errors="replace").strip()
            raise Failure("%s failed with %d. %s" % (name, code, told), 3)

    @staticmethod
    def _load() -> List[c.CDLL]:
        errors = []
        for names in (("libascendcl.so",), ("libacl_rt.so", "libacl_mdl.so")):
            try:
                return [c.CDLL(name) for name in names]
            except OSError as error:
                errors.append(str(error))
        raise Failure("No AscendCL library can be loaded (%s). Source CANN's set_env.sh." % "; ".join(errors), 4)


def run(path: str, loops: int, device: int) -> None:
    acl = AscendCL()
    acl.do("aclInit", None)
    try:
        acl.do("aclrtSetDevice", device)
        try:
            _run_model(acl, path, loops)
        finally:
            acl.function("aclrtResetDevice")(device)
    finally:
        acl.function("aclFinalize")()


def _run_model(acl: AscendCL, path: str, loops: int) -> None:
    model = c.c_uint32()
    acl.do("aclmdlLoadFromFile", path.encode(), c.byref(model))
    desc = c.c_void_p(acl.function("aclmdlCreateDesc")())
    released: List[Callable[[], Any]] = []
    try:
        acl.do("aclmdlGetDesc", desc, model)
        _refuse_dynamic(acl, desc)
        inputs, into = _dataset(acl, desc, "Input", released)
        outputs, out = _dataset(acl, desc, "Output", released)
        for _ in range(loops):
            for memory, host, size in into:
                acl.do("aclrtMemcpy", memory, c.c_size_t(size), host, c.c_size_t(size), HOST_TO_DEVICE)
            acl.do("aclmdlExecute", model, inputs, outputs)
            for memory, host, size in out:
                acl.do("aclrtMemcpy", host, c.c_size_t(size), memory, c.c_size_t(size), DEVICE_TO_HOST)
    finally:
        for release in reversed(released):
            release()
        acl.function("aclmdlDestroyDesc")(desc)
        acl.function("aclmdlUnload")(model)


def _refuse_dynamic(acl: AscendCL, desc: c.c_void_p) -> None:
    index = c.c_size_t()
    for name in DYNAMIC:
        if acl.function("aclmdlGetInputIndexByName")(desc, name, c.byref(index)) == 0:
            raise Failure("The model has the input %s: profile your own program instead." % name.decode(), 2)
    acl.function("aclGetRecentErrMsg")()  # what the search for names that are not there left behind


def _dataset(acl: AscendCL, desc: c.c_void_p, kind: str, released: List[Callable[[], Any]]) -> Any:
    """A dataset of all inputs or outputs, with device memory and a host copy of each: (device, host, bytes)."""
    dataset = c.c_void_p(acl.function("aclmdlCreateDataset")())
    released.append(lambda: acl.function("aclmdlDestroyDataset")(dataset))
    places = []
    for index in range(acl.function("aclmdlGetNum%ss" % kind)(desc)):
        size = acl.function("aclmdlGet%sSizeByIndex" % kind)(desc, c.c_size_t(index))
        if size == 0:
            raise Failure("%s %d has no fixed size: profile your own program instead." % (kind, index), 2)
        memory, host = c.c_void_p(), c.create_string_buffer(size)
        acl.do("aclrtMalloc", c.byref(memory), c.c_size_t(size), 0)
        released.append(lambda memory=memory: acl.function("aclrtFree")(memory))  # type: ignore[misc]
        buffer = c.c_void_p(acl.function("aclCreateDataBuffer")(memory, c.c_size_t(size)))
        released.append(lambda buffer=buffer: acl.function("aclDestroyDataBuffer")(buffer))  # type: ignore[misc]
        acl.do("aclmdlAddDatasetBuffer", dataset, buffer)
        places.append((memory, host, size))
    return dataset, places


def main() -> int:
    parser = argparse.ArgumentParser(prog="profile_om.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--loops", type=int, default=20)
    parser.add_argument("--device", type=int, default=0)
    options = parser.parse_args()
    if not 1 <= options.loops <= 1000000:
        parser.error("--loops is between 1 and 1000000")
    try:
        run(options.model, options.loops, options.device)
    except Failure as failure:
        print("profile_om: %s" % failure, file=sys.stderr)
        return failure.status
    return 0


if __name__ == "__main__":
    sys.exit(main())
