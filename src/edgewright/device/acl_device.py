"""One process's hold on an Ascend device: initialised once, shared by every model, finalised with the last.

device = Device.opened(0)    aclInit, aclrtSetDevice, aclrtCreateContext, in that order
device.enter()               makes the context current in the calling thread
device.close()               context, reset of the device, aclFinalize, the last two by whoever leaves last
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from typing import Any, Dict

from edgewright.device.acl import HOST, REPEATED_INIT, Library

_LOCK = threading.RLock()
_LIBRARIES: Dict[str, Library] = {}
_PROCESSES: Dict[str, "Process"] = {}
"""By the file of the library: one that two settings name differently is initialised once all the same."""


class Process(object):
    """AscendCL as this process has initialised it, and how often each device is held."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.held: Dict[int, int] = {}
        self._ours = False

    def hold(self, device: int) -> None:
        """aclInit for the first holder at all, aclrtSetDevice for the first of this device."""
        if not self.held:
            code = self.library.code("aclInit", None)
            if code not in (0, REPEATED_INIT):
                raise self.library.error("aclInit", code)
            self._ours = code == 0  # else somebody else's, and his to finalise
        try:
            if not self.held.get(device):
                self.library.call("aclrtSetDevice", device)
        except Exception:
            self._finalise_if_alone()
            raise
        self.held[device] = self.held.get(device, 0) + 1

    def leave(self, device: int) -> None:
        self.held[device] -= 1
        if not self.held[device]:
            del self.held[device]
            quietly(self.library, "aclrtResetDevice", device)
        self._finalise_if_alone()

    def _finalise_if_alone(self) -> None:
        if not self.held and self._ours:
            self._ours = False
            quietly(self.library, "aclFinalize")


class Device(object):
    """A context on one device. `host_mode`: device memory is out of this process's reach and must be copied."""

    def __init__(self, process: Process, number: int) -> None:
        self._process, self.number, self.library = process, number, process.library
        self._releases = contextlib.ExitStack()
        with _LOCK:
            process.hold(number)
        self._releases.callback(self._leave)
        try:
            self._context = ctypes.c_void_p()
            self.library.call("aclrtCreateContext", ctypes.byref(self._context), number)
            self.on_release("aclrtDestroyContext", self._context)
            mode = ctypes.c_int32()
            self.library.call("aclrtGetRunMode", ctypes.byref(mode))
            self.host_mode = mode.value == HOST
        except Exception:
            self._releases.close()
            raise

    @staticmethod
    def opened(number: int = 0, library: str = "") -> "Device":
        """Raises AclError: no library, no device, no right, no memory."""
        with _LOCK:
            found = _LIBRARIES.get(library)
            if found is None:
                found = _LIBRARIES[library] = Library(library)
            process = _PROCESSES.setdefault(os.path.realpath(found.path), Process(found))
        return Device(process, number)

    def enter(self) -> None:
        """A thread has one current context; models, memory and runs belong to the one they were made in."""
        self.library.call("aclrtSetCurrentContext", self._context)

    def on_release(self, name: str, *arguments: Any) -> None:
        """A call to be made at `close`, before all that were named earlier."""
        self._releases.callback(quietly, self.library, name, *arguments)

    def close(self) -> None:
        """Releases everything, the last acquired first; what fails is told on standard error and passed over."""
        quietly(self.library, "aclrtSetCurrentContext", self._context)
        self._releases.close()

    def _leave(self) -> None:
        with _LOCK:
            self._process.leave(self.number)


def quietly(library: Library, name: str, *arguments: Any) -> None:
    """A release: its failure must not keep the others from being made."""
    code = library.code(name, *arguments)
    if code:
        print(library.error(name, code).message, file=sys.stderr)
