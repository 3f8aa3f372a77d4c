"""A profile of what runs between `start` and `stop`: AscendCL collects, the toolkit's msprof makes tables of it.

    with Collection(device) as collection:          aclprofInit into a folder of its own
        with collection.running():                  aclprofStart … aclprofStop
            model.run(feeds)
    rows = collection.rows()                        msprof --export=on, then op_summary_*.csv

A board of the kind "RC" (Atlas 200I DK A2) collects, but its msprof cannot make the tables.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import shutil
import subprocess
import tempfile
from typing import Any, Iterator, List, Optional

from edgewright.device.acl import HOMES
from edgewright.device.acl_device import Device, quietly
from edgewright.device.msprof_table import Row, read
from edgewright.device.service import ServiceError

ACL_API, TASK_TIME, CORE_METRICS = 0x1, 0x2, 0x4
PIPE_UTILIZATION = 1
EXPORT_SECONDS = 180.0
COLLECTORS = (("bin", "msprof"), ("tools", "profiler", "bin", "msprof"))
_ON_A_HOST = (
    "Collect with `msprof --output=DIR PROGRAM` on the device, copy DIR to a host with the toolkit, and run "
    "`msprof --export=on --output=DIR` there."
)


class Collection(object):
    """The profiler of this process, of which there is one. The folder goes when the context is left, the rows stay."""

    def __init__(self, device: Device) -> None:
        self._device, self._library = device, device.library
        self._closing = contextlib.ExitStack()
        self._initialised = False

    def __enter__(self) -> "Collection":
        """Raises AclError where the profiler is in other hands (such as msprof's own), or this library has none."""
        self._folder = tempfile.mkdtemp(prefix="edgewright-msprof-")  # 0700: the profiler refuses what others may write
        self._closing.callback(shutil.rmtree, self._folder, ignore_errors=True)
        try:
            path = os.fsencode(self._folder)
            self._library.call("aclprofInit", path, len(path))
            self._closing.callback(self._finish)
            self._initialised = True
        except Exception:
            self._closing.close()
            raise
        return self

    def __exit__(self, *error: Any) -> None:
        self._closing.close()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """What runs in here is collected."""
        devices = (ctypes.c_uint32 * 1)(self._device.number)
        what = ACL_API | TASK_TIME | CORE_METRICS
        config = self._library.value("aclprofCreateConfig", devices, 1, PIPE_UTILIZATION, None, what)
        if not config:
            raise self._library.error("aclprofCreateConfig", -1)
        try:
            self._library.call("aclprofStart", config)
            try:
                yield
            finally:
                quietly(self._library, "aclprofStop", config)
        finally:
            quietly(self._library, "aclprofDestroyConfig", config)

    def rows(self) -> List[Row]:
        """The tasks that were collected; ends the profiler. Raises ServiceError where no table can be made of them."""
        self._finish()
        tool = msprof()
        if tool is None:
            raise ServiceError("There is no msprof to make tables of the profile.", _ON_A_HOST)
        said = _export(tool, self._folder)
        tables = sorted(
            glob.glob(os.path.join(glob.escape(self._folder), "PROF_*", "**", "op_summary_*.csv"), recursive=True)
        )
        if not tables:
            raise ServiceError("msprof made no table of the profile%s." % (said and ": " + said), _ON_A_HOST)
        return read(tables)

    def _finish(self) -> None:
        if self._initialised:
            self._initialised = False
            quietly(self._library, "aclprofFinalize")


def msprof() -> Optional[str]:
    """The toolkit's profiler: on PATH, or in the toolkit that the environment names."""
    found = shutil.which("msprof")
    homes = [os.environ[home] for home in HOMES if os.environ.get(home)]
    own = [os.path.join(home, *words) for home in homes for words in COLLECTORS]
    return found or next((path for path in own if os.access(path, os.X_OK)), None)


def _export(tool: str, folder: str) -> str:
    """Runs `msprof --export=on` on every profile in the folder; the end of what it said."""
    said = ""
    for profile in sorted(glob.glob(os.path.join(glob.escape(folder), "PROF_*"))):
        try:
            done = subprocess.run(
                [tool, "--export=on", "--output=" + profile], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, timeout=EXPORT_SECONDS, cwd=folder, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            said = "it did not end within %d s" % EXPORT_SECONDS
        except OSError as error:
            said = str(error)
        else:
            said = " ".join(done.stdout.decode("utf-8", "replace").split())[-200:]
    return said
