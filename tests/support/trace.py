"""What a program does to the disk, and every state that a power cut could leave of it.

A program under `RECORDER` writes down each change below a folder: names that appear, move and go, and what a file holds
when it is fsynced. `Disk` replays them by the rules of Pillai et al., "All File Systems Are Not Created Equal" (OSDI
2014): until the fsync of a file its new bytes may be lost, all or a part of them; until the fsync of a folder each of
its new, moved or removed names may be as before.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECORDER = """
import base64, json, os, sys
root, trace = sys.argv[1], open({trace!r}, "a", buffering=1)
def within(path, folder=-1):
    path = os.fsdecode(path)
    if not os.path.isabs(path):
        base = os.readlink("/proc/self/fd/%d" % folder) if isinstance(folder, int) and folder >= 0 else os.getcwd()
        path = os.path.join(base, path)
    path = os.path.normpath(path)
    return os.path.relpath(path, root) if path.startswith(root + os.sep) or path == root else None
def note(*words):
    trace.write(json.dumps(words) + "\\n")
def heard(event, words):
    if event == "open" and isinstance(words[0], (str, bytes)) and words[2] & (os.O_CREAT | os.O_TRUNC):
        path = within(words[0])
        if path and not path.startswith("run/compiled"):
            note("open", path, bool(words[2] & os.O_TRUNC))
    elif event == "os.rename":
        pair = within(words[0], words[2]), within(words[1], words[3])
        if any(pair):
            note("rename", *pair)
    elif event == "os.link":
        pair = within(words[0], words[2]), within(words[1], words[3])
        if pair[1]:
            note("link", *pair)
    elif event == "os.symlink":
        path = within(words[1], words[2])
        if path:
            note("symlink", os.fsdecode(words[0]), path)
    elif event in ("os.remove", "os.rmdir"):
        path = within(words[0], words[1])
        if path:
            note("remove", path)
    elif event == "os.mkdir":
        path = within(words[0], words[2])
        if path:
            note("mkdir", path)
def synced(descriptor, fsync=os.fsync):
    path = within(os.readlink("/proc/self/fd/%d" % descriptor))
    if path:
        whole = None
        if os.path.isfile(os.path.join(root, path)):
            with open(os.path.join(root, path), "rb") as file:
                whole = base64.b64encode(file.read()).decode()
        note("fsync", path, whole)
    fsync(descriptor)
sys.addaudithook(heard)
os.fsync = synced
"""


@dataclass
class File:
    """`kept` is on the disk for sure; `latest` is what a reader sees."""

    kept: bytes
    latest: bytes


@dataclass(frozen=True)
class Link:
    target: str


@dataclass
class Folder:
    kept: dict[str, Any] = field(default_factory=dict)
    latest: dict[str, Any] = field(default_factory=dict)


def changes(trace: Path) -> list[list[Any]]:
    return [json.loads(line) for line in trace.read_text().splitlines()]


class Disk:
    """A folder as it was before the trace, all of it on the disk."""

    def __init__(self, folder: Path) -> None:
        self.root = _read(folder)

    def apply(self, change: list[Any]) -> None:
        """One change; those that fail in a program change nothing (a name that is there, or is not)."""
        what, words = change[0], change[1:]
        try:
            getattr(self, f"_{what}")(*words)
        except KeyError:
            return

    def _open(self, path: str, truncates: bool) -> None:
        folder, name = self._place(path)
        if name not in folder.latest:
            folder.latest[name] = File(b"", b"")
        elif truncates:
            folder.latest[name].latest = b""

    def _rename(self, old: str | None, new: str | None) -> None:
        folder, name = self._place(old or "")
        moved = folder.latest.pop(name)
        if new:
            folder, name = self._place(new)
            folder.latest[name] = moved

    def _link(self, old: str, new: str) -> None:
        folder, name = self._place(old)
        linked = folder.latest[name]
        folder, name = self._place(new)
        if name not in folder.latest:
            folder.latest[name] = linked

    def _symlink(self, target: str, path: str) -> None:
        folder, name = self._place(path)
        if name not in folder.latest:
            folder.latest[name] = Link(target)

    def _remove(self, path: str) -> None:
        folder, name = self._place(path)
        del folder.latest[name]

    def _mkdir(self, path: str) -> None:
        folder, name = self._place(path)
        if name not in folder.latest:
            folder.latest[name] = Folder()

    def _write(self, path: str, whole: bytes) -> None:
        folder, name = self._place(path)
        folder.latest[name].latest = whole

    def _fsync(self, path: str, _: Any) -> None:
        found = self._find(path)
        if isinstance(found, Folder):
            found.kept = dict(found.latest)
        else:
            found.kept = found.latest

    def _find(self, path: str) -> Any:
        if path == ".":
            return self.root
        folder, name = self._place(path)
        return folder.latest[name]

    def _place(self, path: str) -> tuple[Folder, str]:
        *folders, name = Path(path).parts
        found = self.root
        for part in folders:
            found = found.latest[part]
        return found, name

    def states(self) -> Iterator[dict[str, Any]]:
        """What a power cut now may leave, as {path: bytes, Link or None (a folder)}: everything; only what is sure;
        every name but only the sure bytes; half of the unsure bytes; the new names of one folder and of no other."""
        yield _view(self.root, names=True, data=1.0)
        yield _view(self.root, names=False, data=0.0)
        yield _view(self.root, names=True, data=0.0)
        yield _view(self.root, names=True, data=0.5)
        for folder in _unsure(self.root):
            yield _view(self.root, names=False, data=1.0, but=folder)


def _read(path: Path) -> Any:
    if path.is_symlink():
        return Link(str(path.readlink()))
    if path.is_file():
        whole = path.read_bytes()
        return File(whole, whole)
    inside = {child.name: _read(child) for child in path.iterdir() if not child.is_socket()}
    return Folder(dict(inside), dict(inside))


def _unsure(folder: Folder) -> Iterator[Folder]:
    if folder.kept.keys() != folder.latest.keys() or any(folder.kept[n] is not folder.latest[n] for n in folder.kept):
        yield folder
    for inside in {id(x): x for x in (*folder.kept.values(), *folder.latest.values())}.values():
        if isinstance(inside, Folder):
            yield from _unsure(inside)


def _view(folder: Folder, *, names: bool, data: float, but: Folder | None = None, at: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, inside in sorted((folder.latest if names or folder is but else folder.kept).items()):
        path = f"{at}{name}"
        if isinstance(inside, Folder):
            found[path] = None
            found |= _view(inside, names=names, data=data, but=but, at=path + "/")
        elif isinstance(inside, Link):
            found[path] = inside
        else:
            found[path] = _bytes(inside, data)
    return found


def _bytes(file: File, part: float) -> bytes:
    if file.latest == file.kept or part == 0.0:
        return file.kept
    if part == 1.0:
        return file.latest
    begun = len(file.kept) if file.latest.startswith(file.kept) else 0
    return file.latest[: begun + (len(file.latest) - begun) // 2]


def lay_out(state: dict[str, Any], folder: Path) -> None:
    """The state as a folder, in place of what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path, inside in state.items():
        if inside is None:
            (folder / path).mkdir()
        elif isinstance(inside, Link):
            (folder / path).symlink_to(inside.target)
        else:
            (folder / path).write_bytes(inside)


def prefixes(disk: Disk, recorded: list[list[Any]]) -> Iterator[dict[str, Any]]:
    """Every different state that a power cut may leave, at whatever change it comes."""
    seen: set[Any] = set()
    for change in [None, *recorded]:
        steps = [change]
        if change and change[0] == "fsync" and change[2] is not None:
            steps = [["write", change[1], base64.b64decode(change[2])], change]
        for step in steps:
            if step:
                disk.apply(step)
            for state in disk.states():
                key = tuple(state.items())
                if key not in seen:
                    seen.add(key)
                    yield state
