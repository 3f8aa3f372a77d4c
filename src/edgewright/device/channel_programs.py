"""Newer device programs out of a channel: what a release needs of the installer comes before the release.

Fetched, unpacked into tools/VERSION as a host would have it, tried, linked to, executed over this process. Tried means:
the new programs themselves follow the channel as far as its release, and ask the device for its status, with the words
of this process and `--look`. What cannot do that is refused, remembered in channel/programs.json, and tried again only
by other programs, or by a process that is started in another way.

    channel/programs         the version that polls: a service is started from this link
    channel/programs-before  the one before; it stays

Killed at any moment, the link leads to programs that are whole and were tried.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import edgewright
import edgewright.device
from edgewright.device import durable, programs, programs_archive, tuf
from edgewright.device.fetch import Folder, Unreachable
from edgewright.device.release import Layout, Rejected, ReleaseError, is_digest
from edgewright.device.serving import CODE, version_of

LINK, BEFORE = "channel/programs", "channel/programs-before"
TRIAL_S = 300.0
KILLED = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)
"""By somebody, as where memory is short: it says nothing of the programs."""
BECAME = "EDGEWRIGHT_CHANNEL_BECAME"
"""How often programs were executed over this process since its last whole poll."""
MOST = 3
REMEDY = "The programs before go on; publish others."


class Programs(object):
    """Those of the channel process. `argv` are its words, which newer ones are started with."""

    def __init__(self, layout: Layout, argv: Sequence[str]) -> None:
        self._layout, self._argv = layout, list(argv)
        self.version = own_version()
        self._held = contextlib.ExitStack()

    def begin(self) -> None:
        """Keeps what runs from being removed, and links to it where nothing is linked to yet."""
        folder = programs.folder_of(self._layout, version_of(CODE))
        if os.path.realpath(folder) != _code() or not os.path.exists(os.path.join(folder, programs_archive.COMPLETE)):
            return
        with contextlib.suppress(ReleaseError, OSError):  # what is wrong with the device folder, the poll says
            self._held.enter_context(programs.held(folder))
            os.makedirs(os.path.join(self._layout.root, "channel"), exist_ok=True)
            if programs.linked(self._layout, LINK) is None and self.version == version_of(CODE):
                self._link(self.version)

    def follow(self, offered: Any, targets: Mapping[str, tuf.Target], folder: Folder) -> Dict[str, Any]:
        """Goes on as the programs that the channel offers ({"version", "archive", "size"}, None where it has none).
        Comes back where those run already, and where they are refused. Unreachable where they cannot be fetched."""
        told: Dict[str, Any] = {"version": self.version}
        if offered is None:
            return told
        refused = durable.read_json(self._note()) or {}
        if refused.get("of") == self._of(offered):
            return dict(told, **{name: refused.get(name) for name in ("refused", "message", "remedy")})
        try:
            version, target = _read(offered, targets)
            if programs.linked(self._layout, LINK) != version or version_of(CODE) == version != self.version:
                self._bring(version, target, folder)
            if self.version != version:
                self._become(version)
        except Rejected as error:
            found = {"refused": _version(offered) or "", "message": error.message, "remedy": error.remedy}
            durable.write_json(self._note(), dict(found, of=self._of(offered)))
            return dict(told, **found)
        durable.remove(self._note())
        return told

    def _bring(self, version: str, target: tuf.Target, folder: Folder) -> None:
        """These programs, whole, tried and linked to."""
        there = programs.folder_of(self._layout, version)
        os.makedirs(os.path.dirname(there), exist_ok=True)
        archive = os.path.join(self._layout.root, "channel", "programs.zip")
        folder.large(target.place, target.digest, target.size, archive)
        try:
            programs_archive.unpack(archive, there, target.digest)
        except programs_archive.Damaged as error:
            raise Rejected("The channel's device programs are refused: %s." % error, REMEDY) from None
        with programs.held(there):
            self._try(version, there)
            self._link(version)
        self._collect()

    def _try(self, version: str, folder: str) -> None:
        """Rejected unless these programs, started as this process was, can follow the channel."""
        argv = [sys.executable, "-m", "edgewright.device.channel", *self._argv, "--look"]
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TRIAL_S,
                env=_environment(folder), check=False,
            )  # fmt: skip
            if done.returncode in KILLED:
                raise ReleaseError("The trial of the device programs %s was killed." % version, "It is tried again.")
            found: Any = json.loads(done.stdout.decode("utf-8"))
            outcome, running = found["outcome"], found["programs"]["version"]
        except subprocess.TimeoutExpired:
            raise Rejected("The device programs %s do not come to an end." % version, REMEDY) from None
        except (ValueError, KeyError, TypeError):
            words = done.stderr.decode("utf-8", "replace").strip().splitlines()
            said = words[-1][:300] if words else "they said nothing"
            raise Rejected("The device programs %s do not start here: %s." % (version, said), REMEDY) from None
        if outcome == "unreachable":
            raise Unreachable(str(found.get("message"))[:300])
        if outcome != "looked":
            said = str(found.get("message"))[:300].rstrip(".")
            raise Rejected("The device programs %s cannot follow the channel: %s." % (version, said), REMEDY)
        if running != version:
            message = "Other programs come before the device programs %s on Python's path." % version
            raise Rejected(message, "Start the channel in a folder without edgewright, from ROOT/channel/programs.")

    def _link(self, version: str) -> None:
        """The version before first: killed in between, the link leads to what it led to."""
        before = programs.linked(self._layout, LINK)
        for link, name in ((BEFORE, before), (LINK, version)):
            if name and (link == LINK or name != version):
                durable.switch_link(os.path.join(self._layout.root, link), os.path.join("..", "tools", name))

    def _collect(self) -> None:
        """An installer may be running as a version that nobody else uses; it collects by itself."""
        with open(os.path.join(self._layout.root, "install.lock"), "ab", opener=durable.without_creating) as lock:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                programs.collect(self._layout)

    def _become(self, version: str) -> None:
        """Executes the channel process of this version over this one. ReleaseError where that does not help."""
        times = int(os.environ.get(BECAME) or 0) + 1
        if times > MOST:
            raise ReleaseError("The device programs %s do not become those that run." % version, "Start it anew.")
        environment = _environment(programs.folder_of(self._layout, version))
        sys.stdout.flush()
        argv = [sys.executable, "-m", "edgewright.device.channel", *self._argv]
        os.execve(sys.executable, argv, dict(environment, **{BECAME: str(times)}))

    def _of(self, offered: Any) -> List[Any]:
        """What was refused, and by whom: started in another way they may do."""
        return [offered, self.version, self._argv, sys.executable, os.getcwd()]

    def _note(self) -> str:
        return os.path.join(self._layout.root, "channel", "programs.json")


def own_version() -> str:
    """The version of the programs that this process began with, counted from their files; "" where one cannot be
    read."""
    names = ["__init__.py", *sorted("device/" + name for name in os.listdir(CODE) if name.endswith(".py"))]
    files: Dict[str, bytes] = {}
    try:
        for name in names:
            with open(os.path.join(os.path.dirname(CODE), *name.split("/")), "rb") as file:
                files[name] = file.read()
    except OSError:
        return ""
    return programs_archive.version(files)


def settle() -> None:
    """Has this process import what it imports later from the programs that it began with, wherever a link leads then;
    and leaves no such link to the processes that it starts."""
    for package in (edgewright, edgewright.device):
        package.__path__[:] = [os.path.realpath(path) for path in package.__path__]
    listed = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in listed if path and os.path.realpath(path) != _code())
    os.environ["PYTHONNOUSERSITE"] = "1"


def whole_poll() -> None:
    os.environ.pop(BECAME, None)


def _environment(folder: str) -> Dict[str, str]:
    others: List[str] = [path for path in [os.environ.get("PYTHONPATH")] if path]
    return dict(os.environ, PYTHONPATH=os.pathsep.join([folder, *others]), PYTHONNOUSERSITE="1")


def _code() -> str:
    """The folder that Python's path needs for these programs."""
    return os.path.dirname(os.path.dirname(CODE))


def _read(offered: Any, targets: Mapping[str, tuf.Target]) -> Tuple[str, tuf.Target]:
    version, archive = _version(offered), _archive(offered)
    target = targets.get(archive or "")
    if version is None or target is None or target.digest != archive or target.size > programs_archive.LIMIT:
        raise Rejected("The channel's device programs are of a form that is not known here.", REMEDY)
    return version, target


def _version(offered: Any) -> Optional[str]:
    found = offered.get("version") if isinstance(offered, dict) else None
    return found if isinstance(found, str) and re.match(r"[0-9a-f]{12}\Z", found) else None


def _archive(offered: Any) -> Optional[str]:
    found = offered.get("archive") if isinstance(offered, dict) else None
    return found if is_digest(found) else None
