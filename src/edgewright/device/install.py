"""The installer: every change of a device folder goes through it, one at a time.

    python -m edgewright.device.install <device folder> <op>     < one JSON object

    status   {"runtimes": [distribution], "chip": false}  what is here, what serves, what the device is; with "check":
                                                          digest, which files of a live release of that are damaged
    missing  {"sizes": {digest: bytes}}                   which blobs must be sent (into incoming/)
    patch    {"deltas": {digest: {"base", "size"}}}       rebuilds blobs out of incoming/DIGEST.delta (device/patch.py)
    unpack   {"archive": digest, "sizes": {digest: bytes}}  takes small blobs out of incoming/ARCHIVE.zip
    admit    {"manifest": digest, "release": {…}}         whether the signature would let it in; changes nothing
    plan     {"manifest", "serve": {…}}                   what install would do here, file by file; changes nothing
    install  {"manifest", "serve": {…}, "release": {…}}   received → … → committed, or rolled back with the reason
    trust    {"signers": text, "forget": false}           whose signatures count from now on
    rollback {"leave": release}                           back to the release before, without anything from outside;
                                                          nothing where `leave` is not current any more
    golden   {}                                           replays the golden samples of the live release now
    stop     {}                                           ends the service; the release stays
    readings {"since": seq}                               what the agent's /readings says

Every request may say who asks: "lease" (device/lease.py). `missing` takes it, `install` and `rollback` give it back.
    lease    {"lease": {…}, "end": false}                 takes, renews or gives it back by itself

`missing`, `install` and `rollback` first end an operation that was cut, and tell of it: "recovered".

One JSON object on stdout: the answer, or {"error": {"kind", "message", "remedy"}} and exit status 3.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import sys
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

from edgewright.device import board, durable, lease, managers, mishaps, plan, processes, reserve, trust, whole
from edgewright.device.boot_counter import BootCounter
from edgewright.device.journal import Journal
from edgewright.device.release import Layout, Rejected, ReleaseError
from edgewright.device.serving import CODE, Serving, version_of


def status(layout: Layout, request: Mapping[str, Any]) -> Dict[str, Any]:
    """Read only; takes no lock, so that it answers while an installation runs."""
    serving = Serving(layout)
    state = serving.state()
    names = {link: layout.linked(getattr(layout, link)) for link in ("current", "previous")}
    records = Journal(layout.journal).read()
    return {
        **{link: dict(layout.describe(name) or {}, name=name) if name else None for link, name in names.items()},
        "running": serving.running(),
        "health": serving.health(),
        "url": serving.url(),
        "damaged": _damaged(layout, names["current"], request.get("check")),
        "unfinished": Journal(layout.journal).open_installation() is not None,
        "replay": _replayed(records, names["current"]),
        "last": mishaps.last(records),
        "phase": state.get("phase"),
        "reason": state.get("reason"),
        "pid": (state.get("agent") or {}).get("pid"),
        "manager": managers.manager(layout),
        "notes": managers.notes(layout),
        "reverted": BootCounter(layout).reverted(),
        "operator": (lease.holder(layout) or {}).get("owner"),
        "programs": _programs(state),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "libc": " ".join(platform.libc_ver()),
        "memory": board.memory_total(),
        "disk_free": board.disk_free(layout.root),
        "trust": trust.describe(layout),
        "runtimes": {name: _version(name) for name in request.get("runtimes") or []},
        "soc_version": _soc_version() if request.get("chip") else "",
    }


def missing(layout: Layout, request: Mapping[str, Any]) -> Dict[str, Any]:
    """Blobs that are not here whole. A damaged one is removed, so that it is sent again."""
    from edgewright.device.delta import codecs
    from edgewright.device.recovery import recover

    wanted = []
    with _alone(layout, request):
        recovered = recover(layout)
        for digest, size in sorted(request["sizes"].items()):
            path = layout.blob(digest)
            if os.path.exists(path) and (os.path.getsize(path) != size or durable.sha256_of(path) != digest):
                durable.remove(path)
            if not os.path.exists(path):
                wanted.append(digest)
    return {"missing": wanted, "incoming": layout.incoming, "deltas": codecs(), "recovered": recovered}


def patched(layout: Layout, request: Mapping[str, Any]) -> Dict[str, Any]:
    from edgewright.device.patch import patch

    with _alone(layout, request):
        return patch(layout, dict(request["deltas"]))


def planned(layout: Layout, request: Mapping[str, Any]) -> Dict[str, Any]:
    """What `install` would do here, as data. Changes nothing."""
    serve = dict(request.get("serve") or {})
    old, number = layout.linked(layout.current), layout.next_number() if os.path.isdir(layout.releases) else 1
    here, name = managers.host(layout.root, serve), "%d-%s" % (number, str(request["manifest"])[:12])
    acts = plan.installation(layout.root, here, serve, name, old, Serving(layout).running())
    return {"manager": here.manager, "release": name, "acts": [act.described() for act in acts]}


def unpacked(layout: Layout, request: Mapping[str, Any]) -> Dict[str, Any]:
    from edgewright.device.patch import unpack

    with _alone(layout, request):
        return {"unpacked": unpack(layout, str(request["archive"]), dict(request["sizes"]))}


def install(layout: Layout, request: Mapping[str, Any]) -> Dict[str, Any]:
    from edgewright.device.installation import Installation  # `status`, asked often, does without
    from edgewright.device.recovery import recover

    digest = str(request["manifest"])
    with _alone(layout, request, last=True):
        recovered = recover(layout)
        admitted = trust.admit(layout, digest, request.get("release"))
        trust.raise_time(layout, admitted)
        answer = Installation(layout, digest, dict(request.get("serve") or {}), admitted).run()
        return dict(answer, recovered=recovered)


def admit(layout: Layout, request: Mapping[str, Any]) -> Dict[str, Any]:
    return {"admitted": trust.admit(layout, str(request["manifest"]), request.get("release"))}


def enrol(layout: Layout, request: Mapping[str, Any]) -> Dict[str, Any]:
    with _alone(layout, request, last=True):
        return trust.enrol(layout, str(request.get("signers")), bool(request.get("forget")))


def back(layout: Layout, request: Mapping[str, Any]) -> Dict[str, Any]:
    """Back, and never forth: whoever asks again, because a link or an installer ended before it had answered, is told
    what has become of it."""
    from edgewright.device.recovery import recover
    from edgewright.device.rollback import outcome, rollback

    with _alone(layout, request, last=True):
        cut = (Journal(layout.journal).open_installation() or [{}])[0]
        recovered, current = recover(layout), layout.linked(layout.current)
        finished = bool(cut.get("rollback")) and current == cut.get("release")
        done = finished or request.get("leave") not in (None, current)
        return dict(outcome(layout) if done else rollback(layout), recovered=recovered)


def golden(layout: Layout, request: Mapping[str, Any]) -> Dict[str, Any]:
    """Beside the live service, by the release's own code; changes nothing."""
    from edgewright.device.installation import replay, too_large

    name = layout.linked(layout.current)
    if name is None:
        raise ReleaseError("The device has no release.", "Deploy one: `edgewright deploy`.")
    if Serving(layout).running() and too_large(layout, name):
        message = "The device's free memory cannot hold the release a second time, beside the service."
        raise ReleaseError(message, "Stop the service first: `edgewright stop`.")
    damaged = whole.damaged(layout, name)
    if damaged:
        message = "The live release, %s, is damaged on this device: %s." % (name, whole.listed(damaged))
        raise Rejected(message, "Deploy it again: what is damaged is sent again.")
    own = layout.describe(name) or {}
    return dict(replay(layout, name, True), name=name, number=own.get("number"), digest=own.get("digest"))


def stop(layout: Layout, request: Mapping[str, Any]) -> Dict[str, Any]:
    if not os.path.isdir(layout.root):
        return {"stopped": False}
    with _alone(layout, request, last=True):
        journal = Journal(layout.journal)
        if journal.open_installation() is not None:
            with contextlib.suppress(OSError), reserve.spent(layout):
                journal.record("stopped")  # who ends what was cut does not start it again
        return {"stopped": Serving(layout).stop()}


def leased(layout: Layout, request: Mapping[str, Any]) -> Dict[str, Any]:
    with _alone(layout, request, last=bool(request.get("end"))):
        return {"owner": (lease.holder(layout) or {}).get("owner")}


def readings(layout: Layout, request: Mapping[str, Any]) -> Dict[str, Any]:
    return Serving(layout).readings(int(request.get("since", 0)))


OPS: Dict[str, Callable[[Layout, Mapping[str, Any]], Dict[str, Any]]] = {
    "status": status,
    "missing": missing,
    "patch": patched,
    "unpack": unpacked,
    "admit": admit,
    "plan": planned,
    "install": install,
    "trust": enrol,
    "rollback": back,
    "golden": golden,
    "lease": leased,
    "stop": stop,
    "readings": readings,
}


class Busy(ReleaseError):
    """An installer is at work on the device folder."""


@contextlib.contextmanager
def _alone(layout: Layout, request: Mapping[str, Any], last: bool = False) -> Iterator[None]:
    """Keeps a second installer out (the kernel frees the lock when we die, however we die), and for longer a second
    operator; `last` gives the lease back, however the operation ends."""
    layout.make()
    with open(os.path.join(layout.root, "install.lock"), "ab", opener=durable.without_creating) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Busy("Another installation is at work on this device.", "Wait for it to end.") from None
        lease.hold(layout, request.get("lease"))
        try:
            yield
        finally:
            if last:
                lease.end(layout, request.get("lease"))


def _damaged(layout: Layout, name: Optional[str], digest: Any) -> List[str]:
    asked = name and digest and (layout.describe(name) or {}).get("digest") == digest
    return whole.damaged(layout, str(name))[:100] if asked else []


def _replayed(records: List[Dict[str, Any]], name: Optional[str]) -> Optional[Dict[str, Any]]:
    """Time and memory of a release when it was replayed here; None where that was not, or is no longer known."""
    for record in reversed(records):
        if name and record["step"] == "replayed" and record.get("release") == name:
            return {key: record.get(key) for key in ("p95_ms", "memory_bytes")}
    return None


def _programs(state: Mapping[str, Any]) -> Dict[str, str]:
    """Which version of our device programs answers this, and which one keeps the service alive ("" where none)."""
    running = str(state.get("code") or "") if processes.alive(state.get("supervisor")) else ""
    return {"installer": version_of(CODE), "supervisor": version_of(running)}


def _version(distribution: str) -> str:
    """The version of an installed distribution, or of CANN, which is none; "" where there is none."""
    import importlib.metadata

    if distribution == "cann":
        from edgewright.device.acl import AclError, Library
        from edgewright.device.cann_version import version

        try:
            return version(Library())
        except AclError:
            return ""

    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _soc_version() -> str:
    """The Ascend chip by the name that models are compiled for; "" where none answers."""
    from edgewright.device.acl import AclError
    from edgewright.device.acl_device import Device

    try:
        device = Device.opened(0)
        try:
            return (device.library.value("aclrtGetSocName") or b"").decode("ascii", "replace")
        finally:
            device.close()
    except AclError:
        return ""


def _failure(error: Exception) -> Dict[str, Any]:
    kind, remedy = "failed", "See run/agent.log in the device folder."
    message = "The installer failed: %s: %s." % (type(error).__name__, error)
    if isinstance(error, ReleaseError):
        kind = "rejected" if isinstance(error, Rejected) else "busy" if isinstance(error, Busy) else "refused"
        message, remedy = error.message, error.remedy
        if isinstance(error, lease.Leased):
            said = {"kind": "leased", "message": message, "remedy": remedy, "holder": error.holder}
            return {"error": said}
    elif isinstance(error, OSError) and error.errno in reserve.FULL:
        kind, message, remedy = "disk", "The device's disk is full.", "Free some space on it and try again."
    elif isinstance(error, OSError):
        message = "The device folder cannot be used: %s." % error
    return {"error": {"kind": kind, "message": message, "remedy": remedy}}


def main(argv: List[str]) -> int:
    if len(argv) != 2 or argv[1] not in OPS:
        sys.stdout.write(json.dumps(_failure(ReleaseError("That is no op.", "Known: %s." % ", ".join(OPS)))) + "\n")
        return 2
    try:
        request = json.loads(sys.stdin.read() or "{}")
        answer, code = OPS[argv[1]](Layout(argv[0]), request), 0
    except Exception as error:
        answer, code = _failure(error), 3
        if not isinstance(error, ReleaseError):
            import traceback

            traceback.print_exc()
    sys.stdout.write(json.dumps(answer) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
