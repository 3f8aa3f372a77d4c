"""Which CANN a loaded AscendCL library belongs to."""

from __future__ import annotations

import ctypes
import glob
import os
import re

from edgewright.device.acl import Library

FILES = ("version.cfg", "ascend_toolkit_install.info", "version.info")
_VERSION = re.compile(
    r"^\s*(?:\w*version)\s*=\s*\[?(?:[^\]\n]*:)?([0-9]+\.[0-9][0-9A-Za-z.]*)", re.IGNORECASE | re.MULTILINE
)
MAX_LEVELS, MAX_BYTES = 4, 1 << 16


def version(library: Library) -> str:
    """As the files of the toolkit around the library tell it ("8.1.RC1"); else the version of the interface
    ("AscendCL 1.17.0", aclrtGetVersion), which is numbered otherwise; "" where neither is told."""
    for path in (library.path, os.path.realpath(library.path)):
        folder = os.path.dirname(path)
        for _ in range(MAX_LEVELS):
            for name in FILES:
                for file in sorted(glob.glob(os.path.join(glob.escape(folder), name))):
                    found = _VERSION.search(_start_of(file))
                    if found:
                        return found.group(1)
            folder = os.path.dirname(folder)
    return _interface(library)


def _start_of(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(MAX_BYTES)
    except OSError:
        return ""


def _interface(library: Library) -> str:
    numbers = [ctypes.c_int32() for _ in range(3)]
    if not library.has("aclrtGetVersion") or library.code("aclrtGetVersion", *map(ctypes.byref, numbers)):
        return ""
    return "AscendCL " + ".".join(str(number.value) for number in numbers)
