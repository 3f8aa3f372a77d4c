"""A device that fetches its releases by itself, from behind NAT: out of a folder on any web server, or a USB stick, or
out of an OCI registry.

    python -m edgewright.device.channel <device folder> <URL> --channel NAME [--trust root.json] [--every S] …

What is there is a TUF repository (device/tuf.py; `edgewright bundle publish` writes it). In it NAME.json says which
release the channel has, and each of its blobs is a target. What is not here yet is fetched into incoming/, and then the
same installer is called that a host would call: signature, golden replay, bake time and rollback are the same. The
channel has the device programs, too: where those are others than run here, they come first (channel_programs.py).
An operation that was cut on the device is ended first. One JSON object a poll on stdout; `programs` says which ran, and
which were refused, `recovered` what was cut and what became of it, `unfinished` why that could not be ended; `outcome`
is one of

    installed    the release of the channel serves now
    current      it was here already
    refused      the channel, or its release, must not be let in; a release that was refused once is not tried again
    kept         it was installed before, and somebody or the boot counter went back from it: that stands
    unreachable  later, perhaps; so are `failed` and `busy`

Kept in channel/: the verified metadata, and tried.json, what became of the newest release. Killed at any moment, the
next poll goes on: a release that has not come to its end is tried again, and the installer has a journal of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import importlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from edgewright.device import channel_programs, durable, needs, trust, tuf
from edgewright.device.fetch import Folder, Unreachable
from edgewright.device.journal import Journal
from edgewright.device.registry import Registry
from edgewright.device.release import Layout, Rejected, ReleaseError, is_digest
from edgewright.device.serving import CODE

RELEASE_LIMIT = 8 << 20
TIMEOUT_S, LONGEST_BAKE_S = 1200.0, 86400.0
"""How long one operation of the installer may take, and how much of a bake time is waited for beside that."""
NAME = r"[a-z0-9][a-z0-9._-]{0,40}\Z"
SETTINGS = ("source", "host", "port")
WHOLE = ("install", "installation", "recovery", "rollback", "supervise")
"""Programs that a device cannot do without, beside this one."""


class Busy(ReleaseError):
    """Somebody else is at work on the device."""


class Channel(object):
    """`serve` are settings of the service that count here; the others are those of the release that serves, else those
    that the channel proposes. With `clock` the system's own clock is believed beside the floor of time. Without
    `programs` newer device programs are left alone."""

    def __init__(
        self,
        layout: Layout,
        folder: Folder,
        name: str,
        serve: Optional[Mapping[str, Any]] = None,
        clock: bool = False,
        programs: Optional[channel_programs.Programs] = None,
    ) -> None:
        self._layout, self._folder, self._name = layout, folder, name
        self._serve, self._clock = dict(serve or {}), clock
        self._own, self._programs = os.path.join(layout.root, "channel"), programs

    def poll(self) -> Dict[str, Any]:
        """What became of one look at the channel."""
        self._folder.received = 0
        client = tuf.Client(self._own, self._folder.small, self._now())
        told: Dict[str, Any] = {"channel": self._name, "outcome": "failed"}
        try:
            os.makedirs(self._own, exist_ok=True)
            with open(os.path.join(self._own, "lock"), "ab") as lock:
                _lock(lock)
                told.update(self._end_what_was_cut())
                targets = client.refresh()
                target, found = self._release(targets, self._own)
                if self._programs:
                    told["programs"] = self._programs.follow(found.get("programs"), targets, self._folder)
                told.update(self._follow(targets, target, found))
        except ReleaseError as error:
            told.update(outcome=_outcome(error), message=error.message, remedy=error.remedy)
        except OSError as error:
            told.update(message="The device folder cannot be used: %s." % error, remedy="Look at its disk.")
        return dict(told, received=self._folder.received, notes=client.notes)

    def look(self) -> Dict[str, Any]:
        """Follows the channel as far as its release, and changes nothing here: `outcome` is `looked` where that can be
        done. The poll of older programs asks newer ones for it, before it lets them go on."""
        told: Dict[str, Any] = {"channel": self._name, "outcome": "failed"}
        told["programs"] = {"version": channel_programs.own_version()}
        for name in WHOLE:
            importlib.import_module("edgewright.device." + name)
        try:
            with tempfile.TemporaryDirectory(prefix="edgewright-look-") as own:
                for name in (*tuf.LIMITS, "release"):
                    with contextlib.suppress(FileNotFoundError):
                        shutil.copyfile(os.path.join(self._own, name + ".json"), os.path.join(own, name + ".json"))
                targets = tuf.Client(own, self._folder.small, self._now()).refresh()
                self._release(targets, own)
                self._operate("status", {}, channel_programs.TRIAL_S / 3)
            told["outcome"] = "looked"
        except ReleaseError as error:
            told.update(outcome=_outcome(error), message=error.message, remedy=error.remedy)
        except OSError as error:
            told.update(message="The device folder cannot be used: %s." % error, remedy="Look at its disk.")
        return told

    def _end_what_was_cut(self) -> Dict[str, Any]:
        """No host may ever come, and no server may answer: an operation of whoever was here is ended by the next poll,
        even if there is nothing to install."""
        if Journal(self._layout.journal).open_installation() is None:
            return {}
        try:
            recovered = self._operate("missing", {"sizes": {}}).get("recovered")
        except ReleaseError as error:  # perhaps it is still at work; if not, the next installation meets it, too
            return {"unfinished": error.message}
        return {"recovered": recovered} if recovered else {}

    def _follow(
        self, targets: Mapping[str, tuf.Target], target: tuf.Target, found: Mapping[str, Any]
    ) -> Dict[str, Any]:
        tried, status = durable.read_json(self._tried()) or {}, self._operate("status", {})
        serving = str((status.get("current") or {}).get("digest") or "")
        if tried.get("target") == target.digest:
            same, installed = tried.get("serve") == self._serve, tried.get("outcome") == "installed"
            if installed and (same or serving != tried.get("digest")):
                outcome = "current" if serving == tried.get("digest") else "kept"
                return {"outcome": outcome, "digest": serving, "running": status.get("running")}
            if same:
                return {name: tried.get(name) for name in ("outcome", "digest", "message", "remedy")}
        release = _checked(found)
        digest = str(release["manifest"])
        note = {"target": target.digest, "digest": digest, "serve": self._serve}
        request = self._fetch(release, targets)
        try:
            answer = self._operate("install", request)
        except Rejected as error:
            self._note(dict(note, outcome="refused", message=error.message, remedy=error.remedy))
            raise
        self._note(dict(note, outcome="installed"))
        outcome = "current" if answer.get("unchanged") else "installed"
        return {"outcome": outcome, "digest": digest, "url": answer.get("url")}

    def _release(self, targets: Mapping[str, tuf.Target], own: str) -> Tuple[tuf.Target, Dict[str, Any]]:
        """What the channel has, verified by its digest, and kept in the folder `own`."""
        target = targets.get(self._name + ".json")
        if target is None:
            raise Rejected("There is no channel %s." % self._name, "Is its name right?")
        if target.size > RELEASE_LIMIT:
            raise Rejected("The channel's release is too long.", tuf.REMEDY)
        path = os.path.join(own, "release.json")
        if not os.path.isfile(path) or durable.sha256_of(path) != target.digest:
            self._folder.large(target.place, target.digest, target.size, path)
        return target, durable.read_json(path) or {}

    def _fetch(self, release: Mapping[str, Any], targets: Mapping[str, tuf.Target]) -> Dict[str, Any]:
        """What to ask of the installer, when all is here. As a host does it: is the device fit, would the release be
        let in, what is missing, is there room?"""
        wanted, sizes = release["needs"], release["sizes"]
        asked = {"runtimes": sorted(wanted.get("runtimes") or {}), "chip": bool(wanted.get("soc_version"))}
        status = self._operate("status", asked)
        unfit = needs.difference(wanted, status)
        if unfit:
            raise Rejected(*unfit)
        signed = {"release": release["release"]} if release.get("release") else {}
        self._operate("admit", dict(signed, manifest=release["manifest"]))
        missing = [digest for digest in self._operate("missing", {"sizes": sizes})["missing"] if digest in sizes]
        missing = [digest for digest in missing if not self._arrived(digest)]
        full = needs.too_full(sum(sizes[digest] for digest in missing), status)
        if full:
            raise ReleaseError(*full)
        for digest in missing:
            blob = targets.get(digest)
            if blob is None or (blob.digest, blob.size) != (digest, sizes[digest]):
                raise Rejected("The channel has no blob %s." % digest[:12], "Publish the release again.")
            self._folder.large(blob.place, digest, blob.size, os.path.join(self._layout.incoming, digest))
        serve = dict(release.get("serve") or {}, **((status.get("current") or {}).get("serve") or {}))
        serve.update({name: value for name, value in self._serve.items() if value is not None})
        return dict(signed, manifest=release["manifest"], serve=serve)

    def _arrived(self, digest: str) -> bool:
        """Whether a poll before, which was cut, has left it."""
        path = os.path.join(self._layout.incoming, digest)
        return os.path.isfile(path) and not os.path.islink(path) and durable.sha256_of(path) == digest

    def _operate(self, op: str, request: Mapping[str, Any], timeout_s: Optional[float] = None) -> Dict[str, Any]:
        """One operation of the installer, in a process of its own."""
        paths = [os.path.dirname(os.path.dirname(CODE)), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(paths), PYTHONNOUSERSITE="1")
        argv = [sys.executable, "-m", "edgewright.device.install", self._layout.root, op]
        text = json.dumps(request).encode("utf-8")
        said = _run(argv, text, environment, (timeout_s or TIMEOUT_S) + _bake_s(request))
        try:
            answer = dict(json.loads(said.decode("utf-8")))
        except ValueError:
            raise ReleaseError("The installer ended without an answer.", "See what it wrote.") from None
        error = answer.get("error")
        if error:
            kinds: Dict[str, Callable[[str, str], ReleaseError]] = {"rejected": Rejected, "leased": Busy}
            kind = kinds.get(str(error.get("kind")), ReleaseError)
            raise kind(str(error.get("message")), str(error.get("remedy")))
        return answer

    def _now(self) -> Optional[int]:
        """The latest time that is known here; None where none is. A damaged floor is as good as none: the installer
        refuses then anyway."""
        floor = (durable.read_json(os.path.join(self._layout.root, "trust", "floor.json")) or {}).get("time")
        known = [int(time.time())] if self._clock else []
        try:
            known.append(trust.seconds(floor))
        except ValueError:
            pass
        return max(known) if known else None

    def _note(self, tried: Mapping[str, Any]) -> None:
        durable.write_json(self._tried(), dict(tried))

    def _tried(self) -> str:
        return os.path.join(self._own, "tried.json")


def _checked(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the channel has, as a release. Rejected where it is of another form."""
    sizes: Any = found.get("sizes")
    wanted: Any = found.get("needs")
    fits = isinstance(sizes, dict) and all(is_digest(d) and type(n) is int and n >= 0 for d, n in sizes.items())
    if found.get("format") != 1 or not fits or found.get("manifest") not in sizes or not isinstance(wanted, dict):
        raise Rejected("The channel's release is of a form that is not known here.", "Bring newer device programs.")
    return found


def _bake_s(request: Mapping[str, Any]) -> float:
    """How long the installer is asked to watch the release, which is no hanging."""
    found = (request.get("serve") or {}).get("bake_s")
    return min(max(0.0, float(found)), LONGEST_BAKE_S) if isinstance(found, (int, float)) else 0.0


def _run(argv: List[str], text: bytes, environment: Mapping[str, str], timeout_s: float) -> bytes:
    """What a program says that ends in time. One that does not is killed with all that it waits for; the service is in
    a session of its own, and lives on."""
    child = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(environment), start_new_session=True
    )
    try:
        return child.communicate(text, timeout=timeout_s)[0]
    except subprocess.TimeoutExpired:
        message = "The installer did not end its `%s` within %.0f s; it was ended." % (argv[-1], timeout_s)
        raise ReleaseError(message, "A whole release serves; the next poll finishes or undoes it first.") from None
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _outcome(error: ReleaseError) -> str:
    if isinstance(error, Rejected):
        return "refused"
    return "unreachable" if isinstance(error, Unreachable) else "busy" if isinstance(error, Busy) else "failed"


def _lock(file: Any) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Busy("Another poll is at work on this device.", "Wait for it to end.") from None


def main(argv: List[str]) -> int:
    words = _words().parse_args(argv)
    layout = Layout(words.root)
    try:
        if not re.match(NAME, words.channel):
            raise ReleaseError("%.60r is no name of a channel." % words.channel, "Use a-z, 0-9, dots and dashes.")
        limits = (words.timeout, words.attempts, words.pause, words.ca)
        if words.url.startswith("oci:"):
            folder: Folder = Registry(words.url, *limits, plain_http=words.plain_http)
        else:
            folder = Folder(words.url, *limits)
        if words.trust:
            with open(words.trust, "rb") as file:
                tuf.begin(os.path.join(layout.root, "channel"), file.read(tuf.LIMITS["root"] + 1))
    except (ReleaseError, OSError) as error:
        message, remedy = str(error), "See --help."
        if isinstance(error, ReleaseError):
            message, remedy = error.message, error.remedy
        _say({"channel": words.channel, "outcome": "failed", "message": message, "remedy": remedy})
        return 2
    serve = {name: getattr(words, name) for name in SETTINGS if getattr(words, name) is not None}
    programs = channel_programs.Programs(layout, argv)
    channel = Channel(layout, folder, words.channel, serve, words.clock, programs)
    channel_programs.settle()
    if words.look:
        _say(channel.look())
        return 0
    programs.begin()
    if words.unit:
        return _unit(layout, words)
    while True:
        told = channel.poll()
        _say(told)
        channel_programs.whole_poll()
        if words.every is None:
            well = told["outcome"] in ("installed", "current", "kept") and "refused" not in told.get("programs", {})
            return 0 if well else 3
        # A thousand devices that were switched on together must not ask together for ever.
        time.sleep(words.every * random.uniform(0.8, 1.2))


def _say(told: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(told, sort_keys=True) + "\n")
    sys.stdout.flush()


def _unit(layout: Layout, words: argparse.Namespace) -> int:
    from edgewright.device.channel_unit import unit

    try:
        sys.stdout.write(unit(layout, words))
    except ReleaseError as error:
        sys.stderr.write("%s\n%s\n" % (error.message, error.remedy))
        return 2
    return 0


def _words() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Fetches the release of a channel, and installs it.")
    parser.add_argument("root", help="the device folder")
    parser.add_argument(
        "url",
        help="what `edgewright bundle publish` has written: https://…, http://…, file://… or oci://host[:port]/repository",
    )
    parser.add_argument("--channel", required=True, help="its name")
    parser.add_argument("--trust", metavar="FILE", help="root.json of the publisher; needed once")
    parser.add_argument(
        "--every", type=float, metavar="S", help="poll for ever, so many seconds apart, give or take 20 %%"
    )
    parser.add_argument("--unit", action="store_true", help="only print a systemd unit that starts this as a service")
    parser.add_argument("--look", action="store_true", help="only look whether the channel can be followed")
    parser.add_argument("--clock", action="store_true", help="believe the system's clock: metadata expires by it")
    parser.add_argument("--ca", metavar="FILE", help="certificates to verify the server by, instead of the system's")
    parser.add_argument("--plain-http", action="store_true", help="a registry without TLS; on loopback always")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="S", help="for one silence of the server")
    parser.add_argument("--attempts", type=int, default=4, help="of one file in one poll")
    parser.add_argument(
        "--pause", type=float, default=1.0, metavar="S", help="before the second try; doubled each time"
    )
    parser.add_argument("--source", help="camera:0, a folder, a video file or rtsp://…")
    parser.add_argument("--host", help="the address that the service binds to")
    parser.add_argument("--port", type=int, help="its port")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
