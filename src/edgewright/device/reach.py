"""What a system unit must show of the homes that it hides: the interpreter, the source, and a CANN installed there.

`ProtectHome=tmpfs` puts empty folders over /home, /root and /run/user (systemd.exec(5)); what is bound there again is
reached through those, so that a home that others may not enter is no obstacle. The folder itself must let them in.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Iterator, List, Mapping, Sequence, Set, Tuple

HIDDEN = ("/home/", "/root/", "/run/user/")
LISTS = ("LD_LIBRARY_PATH", "PYTHONPATH")
"""Variables of the runtime that hold folders; those of CANN begin with ASCEND_ beside."""
MOST_LINKS = 500


def under_homes(serve: Mapping[str, Any], hidden: Sequence[str] = HIDDEN) -> Tuple[str, ...]:
    """The paths below the `hidden` folders that a service with these settings reads, sorted, none inside another."""
    source = str(serve.get("source") or "")
    source = source[5:] if source.startswith("loop:") else source
    programs = {sys.prefix, sys.base_prefix, os.path.realpath(sys.executable), source}
    wanted = {path for path in programs if path.startswith(tuple(hidden)) and os.path.exists(path)}
    for folder in _named(serve.get("environment") or {}):
        wanted |= {path for path in _with_targets(folder) if _is_below_a_home(path, hidden)}
    return tuple(sorted(path for path in wanted if not any(path.startswith(other + "/") for other in wanted)))


def _named(environment: Mapping[str, Any]) -> Iterator[str]:
    """The existing folders that the runtime's variables name."""
    for name, value in environment.items():
        if str(name) in LISTS or str(name).startswith("ASCEND_"):
            for part in str(value).split(":"):
                if part.startswith("/") and os.path.isdir(part):
                    yield os.path.normpath(part)


def _with_targets(folder: str) -> Set[str]:
    """The folder, what it is a link to, and what the links in it lead to beside it: CANN's `latest` is made of links
    to the versions in the folder above."""
    real = os.path.realpath(folder)
    beside = os.path.dirname(real) + "/"
    found = {folder, real}
    try:
        inside = os.listdir(real)[:MOST_LINKS]
    except OSError:  # the one who asks may not look into it
        inside = []
    links = [os.path.join(real, name) for name in inside]
    found |= {os.path.realpath(path) for path in links if os.path.islink(path)}
    return {path for path in found if path == folder or (path.startswith(beside) and os.path.isdir(path))}


def _is_below_a_home(path: str, hidden: Sequence[str]) -> bool:
    """Never a whole home: /home/<user>, /root and /run/user/<uid> stay hidden."""
    for home in hidden:
        own = 1 if home == "/root/" else 2
        if path.startswith(home) and len(path[len(home) :].split("/")) >= own:
            return True
    return False


def closed(paths: Sequence[str], groups: Sequence[str]) -> List[str]:
    """Sentences about those of the folders that a user in these groups cannot enter, being neither owner nor root."""
    import grp

    there = {entry.gr_gid for entry in grp.getgrall() if entry.gr_name in groups}
    notes = []
    for path in paths:
        try:
            found = os.stat(path)
        except OSError:
            continue
        needed = 0o5 if os.path.isdir(path) else 0o4
        mode = found.st_mode >> (3 if found.st_gid in there else 0)
        if mode & needed != needed:
            notes.append(
                "The service's own user may not read %s (mode %o, of %s): give others the right to, or install it "
                "outside a home." % (path, found.st_mode & 0o7777, _user(found.st_uid))
            )
    return notes


def _user(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
