"""Who keeps the service alive: our own supervisor alone, or systemd, which keeps the supervisor alive.

systemd where it runs the machine (sd_booted(3)): a system unit for root, a unit of the user's own manager otherwise.
What was chosen is kept in manager.json, so that starting and stopping ask the same one.
"""

from __future__ import annotations

import glob
import os
import shutil
import stat
import subprocess
import sys
from typing import Any, List, Mapping, Optional, Sequence, Tuple

from edgewright.device import durable, plan, reach, units
from edgewright.device.release import Layout, ReleaseError
from edgewright.device.units import Host

COMMAND_S = 60.0
MAY_FAIL = ("loginctl",)
"""Commands that a device's policy may forbid: the service then starts with the user's first login."""


def host(root: str, serve: Mapping[str, Any]) -> Host:
    """This device, as far as a unit depends on it. `serve.manager` "supervisor" leaves systemd out of it."""
    manager = "supervisor"
    if serve.get("manager") != "supervisor" and booted():
        manager = "systemd" if os.geteuid() == 0 else "systemd-user" if os.path.exists(_private()) else "supervisor"
    found = [path for pattern in units.NODES for path in glob.glob(pattern) if _is_device(path)]
    sockets = tuple(path for path in units.SOCKETS if os.path.isdir(path) and os.path.realpath(path) == path)
    return Host(
        manager, sys.executable, units.nodes_of(found), _groups(), reach.under_homes(serve), os.path.expanduser("~"),
        sockets,
    )  # fmt: skip


def booted() -> bool:
    """Whether systemd runs this machine (sd_booted(3)) and can be spoken to."""
    return os.path.isdir("/run/systemd/system") and shutil.which("systemctl") is not None


def adopt(layout: Layout, serve: Mapping[str, Any], here: Optional[Host] = None) -> str:
    """Tells who keeps the service alive of it; the name of that. ReleaseError where systemd refuses."""
    here = here or host(layout.root, serve)
    durable.switch_link(os.path.join(layout.root, "program"), os.path.relpath(_programs(), layout.root))
    notes = [said for said in map(_do, plan.adoption(layout.root, here, serve)) if said]
    notes += reach.closed(here.homes, here.groups) if here.manager == "systemd" else []
    durable.write_json(_file(layout), {"manager": here.manager, "notes": notes})
    return here.manager


def manager(layout: Layout) -> str:
    """Who was told of the service of this folder."""
    return str((durable.read_json(_file(layout)) or {}).get("manager") or "supervisor")


def notes(layout: Layout) -> List[str]:
    """What the device would not do for the service, in sentences."""
    found = (durable.read_json(_file(layout)) or {}).get("notes")
    return [str(note) for note in found] if isinstance(found, list) else []


def start(layout: Layout) -> bool:
    """Has systemd start the supervisor; False where that is not its business."""
    return _tell_systemd(layout, "start", "--no-block")


def stop(layout: Layout) -> bool:
    """Has systemd end the supervisor and not start it at the next boot; False where that is not its business."""
    return _tell_systemd(layout, "disable", "--now")


def failed(layout: Layout) -> bool:
    """Whether systemd has given the service up."""
    who = manager(layout)
    if who == "supervisor":
        return False
    argv = plan.systemctl(Host(who, ""), "is-failed", "--quiet", units.name_of(layout.root))
    return _run(argv).returncode == 0


def _tell_systemd(layout: Layout, *words: str) -> bool:
    who = manager(layout)
    if who == "supervisor" or not booted():
        return False
    _checked(plan.systemctl(Host(who, ""), *words, units.name_of(layout.root)))
    return True


def _do(act: plan.Act) -> str:
    """Carries an act out; "", or what the device's policy forbade."""
    if act.kind == "file":
        os.makedirs(os.path.dirname(act.path), exist_ok=True)
        durable.write_text(act.path, act.text)
    elif act.kind == "run":
        return _checked(act.argv)
    elif act.kind == "own" and os.path.lexists(act.path):
        _own(act.path, act.text)
    return ""


def _own(path: str, user: str) -> None:
    """The path becomes the user's, and what is in it; of the device folder itself, only the right to write into it:
    its sticky bit keeps what is root's in it root's."""
    import pwd

    entry = pwd.getpwnam(user)
    if os.path.basename(path) == "":
        os.chown(path, 0, entry.pw_gid)
        os.chmod(path, 0o1775)
        return
    os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
    for folder, folders, files in os.walk(path) if not os.path.islink(path) else ():
        for name in (*folders, *files):
            os.chown(os.path.join(folder, name), entry.pw_uid, entry.pw_gid, follow_symlinks=False)


def _checked(argv: Sequence[str]) -> str:
    done = _run(argv)
    if done.returncode:
        said = done.stdout.decode("utf-8", "replace").strip().splitlines()[-1:] or ["status %d" % done.returncode]
        message = "`%s` failed: %s." % (" ".join(argv), said[0][:300].rstrip("."))
        if argv[0] in MAY_FAIL:
            return message
        raise ReleaseError(message, "Mend that, or leave systemd out of it with `serve: {manager: supervisor}`.")
    return ""


def _run(argv: Sequence[str]) -> "subprocess.CompletedProcess[bytes]":
    environment = dict(os.environ, XDG_RUNTIME_DIR=os.path.dirname(os.path.dirname(_private())))
    try:
        return subprocess.run(
            list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=environment, timeout=COMMAND_S,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(list(argv), 127, str(error).encode("utf-8"))


def _groups() -> Tuple[str, ...]:
    import grp

    there = {entry.gr_name for entry in grp.getgrall()}
    return tuple(name for name in units.GROUPS if name in there)


def _is_device(path: str) -> bool:
    try:
        return stat.S_ISCHR(os.stat(path).st_mode)
    except OSError:
        return False


def _private() -> str:
    """The socket of this user's own systemd."""
    folder = os.environ.get("XDG_RUNTIME_DIR") or "/run/user/%d" % os.geteuid()
    return os.path.join(folder, "systemd", "private")


def _programs() -> str:
    """The folder whose `edgewright` this is (tools/<digest>)."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def _file(layout: Layout) -> str:
    return os.path.join(layout.root, "manager.json")
