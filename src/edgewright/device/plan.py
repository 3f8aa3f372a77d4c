"""What an installation will do, as data: which files are written, which commands are run, in which order.

A pure function of what the device is (`Host`) and of what is asked. `edgewright deploy --dry-run` shows it; the
installer carries it out, and each act belongs to the step of the journal (journal.STEPS) under which it is done.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from edgewright.device import units
from edgewright.device.units import Host

SYSUSERS = "/etc/sysusers.d/edgewright.conf"
OWNED = ("run", "spool", "journal.jsonl", "boots.json", "install.lock", "current", "previous")
"""What the service itself writes in the device folder: where it has a user of its own, these are that user's. Releases,
blobs and programs stay root's: what serves cannot change what is served."""


class Act(NamedTuple):
    """One thing to do. `kind` says what the other fields are: "file" (path, text), "run" (argv), "own" (path: whose it
    becomes is `text`), "link" (path → text), "check" (said alone)."""

    step: str
    kind: str
    said: str
    path: str = ""
    text: str = ""
    argv: Tuple[str, ...] = ()

    def described(self) -> Dict[str, Any]:
        found = {name: value for name, value in self._asdict().items() if value}
        return dict(found, argv=list(self.argv)) if self.argv else found


def installation(
    root: str, host: Host, serve: Mapping[str, Any], release: str, old: Optional[str], running: bool
) -> List[Act]:
    """Every act of an installation, in order. `release` and `old` name releases; `running` is whether `old` serves."""
    folder, link = os.path.join(root, "releases", release), os.path.join(root, "current")
    bake_s = float(serve.get("bake_s") or 0)
    beside = ", beside %s, which goes on serving" % old if old and running else ""
    return [
        Act("received", "check", "Check every file's digest, and keep it in blobs/."),
        Act("assembled", "link", "Lay the release out.", folder, "blobs/sha256"),
        Act("replayed", "check", "Replay the golden samples%s; then the limits of time and memory." % beside),
        *adoption(root, host, serve),
        Act("switched", "link", "Make it current.", link, os.path.join("releases", release)),
        Act("started", "check", "Wait until its agent is ready%s." % ("; then end the one before" if running else "")),
        Act("healthy", "check", "Ask /healthz."),
        Act("baked", "check", "Watch it for %g s; if it ends or breaks a limit, go back." % bake_s),
        *([Act("committed", "link", "Keep the one before.", os.path.join(root, "previous"), old)] if old else []),
        Act("committed", "check", "Clear up what neither current nor previous names."),
    ]


def adoption(root: str, host: Host, serve: Mapping[str, Any]) -> List[Act]:
    """The acts of the step `managed`: who keeps the service alive learns of it."""
    if host.manager == "supervisor":
        return [Act("managed", "check", "Nobody but our own supervisor keeps it alive: it does not start at boot.")]
    name, text = units.name_of(root), units.unit(root, host, serve)
    file = Act("managed", "file", "Write the unit.", unit_path(host, name), text)
    return [
        *(_own_user(root) if host.manager == "systemd" else []),
        file,
        *([] if host.manager == "systemd" else [_linger()]),
        _systemctl(host, "Have systemd read it.", "daemon-reload"),
        _systemctl(host, "Start it at every boot.", "enable", name),
    ]


def unit_path(host: Host, name: str) -> str:
    folder = "/etc/systemd/system" if host.manager == "systemd" else os.path.join(host.home, ".config/systemd/user")
    return os.path.join(folder, name)


def systemctl(host: Host, *words: str) -> Tuple[str, ...]:
    return ("systemctl", *(() if host.manager == "systemd" else ("--user",)), *words)


def _systemctl(host: Host, said: str, *words: str) -> Act:
    return Act("managed", "run", said, argv=systemctl(host, *words))


def _own_user(root: str) -> List[Act]:
    return [
        Act("managed", "file", "Describe the service's own user.", SYSUSERS, units.sysusers()),
        Act("managed", "run", "Make that user.", argv=("systemd-sysusers", SYSUSERS)),
        *[
            Act("managed", "own", "Give it what it writes.", os.path.join(root, part), units.USER)
            for part in ("", *OWNED)
        ],
    ]


def _linger() -> Act:
    return Act("managed", "run", "Let it run while nobody is logged in.", argv=("loginctl", "enable-linger"))
