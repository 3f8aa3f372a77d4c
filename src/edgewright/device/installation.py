"""One installation, step by step. Every step is in the journal before the next begins; `recovery` brings a folder whose
installer was killed back to one whole release, the old or the new.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from typing import Any, Dict, List, Mapping, Optional

from edgewright.device import board, durable, managers, needs, processes, programs, reserve, trust, wheels, whole
from edgewright.device.bake import bake
from edgewright.device.boot_counter import BootCounter
from edgewright.device.child import environment
from edgewright.device.journal import Journal
from edgewright.device.recovery import collect, give_up
from edgewright.device.release import OWN_FILE, Layout, Manifest, Rejected, ReleaseError, parse_manifest
from edgewright.device.serving import READY_S, Prober, Serving, healthy

REPLAY_S = 600.0
RETRIES = 2


class Installation(object):
    """`digest` is that of the manifest; `serve` holds source, host, port and save as asked; `admitted` is what was
    verified of its signature (trust.admit)."""

    def __init__(
        self, layout: Layout, digest: str, serve: Mapping[str, Any], admitted: Optional[Mapping[str, Any]] = None
    ) -> None:
        self._layout, self._digest, self._serve = layout, digest, dict(serve)
        self._admitted = admitted
        self._journal, self._serving = Journal(layout.journal), Serving(layout)
        self._old, self._before = layout.linked(layout.current), layout.linked(layout.previous)
        self._was_running = self._serving.running()
        self._number = max(layout.next_number(), self._journal.last_number() + 1)
        self._name = "%d-%s" % (self._number, digest[:12])
        self._replay: Dict[str, Any] = {}
        self._prober: Optional[Prober] = None
        self._quiet = False
        self._mended: List[str] = []

    def run(self) -> Dict[str, Any]:
        """The new release as it serves. Rejected or ReleaseError with the old one serving as before."""
        layout, own = self._layout, self._layout.describe(self._old) or {}
        layout.blob(self._digest)
        if self._old and own.get("digest") == self._digest and own.get("serve") == self._serve:
            return self._restart(self._old)
        self._journal.shorten()
        reserve.keep(layout)
        self._journal.record(
            "begun", release=self._name, number=self._number, old=self._old, previous=self._before,
            was_running=self._was_running, by=processes.identity(os.getpid()),
        )  # fmt: skip
        try:
            self._prepare()
            self._switch()
        except BaseException as error:
            self._give_up(error)
            raise
        collect(layout)
        programs.collect(layout)
        return self._outcome(self._name, replaced=self._old)

    def _prepare(self) -> None:
        """Everything that can be done while the old release serves."""
        manifest = self._receive()
        self._mend()
        self._journal.record("received", release=self._name, mended=self._mended[:100])
        self._assemble(manifest)
        self._journal.record("assembled", release=self._name)
        self._replay = self._check()
        found = {key: self._replay.get(key) for key in ("p95_ms", "memory_bytes")}
        self._journal.record("replayed", release=self._name, quiet=self._quiet, **found)

    def _receive(self) -> Manifest:
        """Incoming files become blobs when they have the digest they are named by."""
        self._admit(self._digest)
        with open(self._layout.blob(self._digest), "rb") as file:
            manifest = parse_manifest(file.read())
        for digest, size in manifest.sizes().items():
            self._admit(digest)
            if os.path.getsize(self._layout.blob(digest)) != size:
                raise ReleaseError("The manifest gives a wrong size for %s." % digest[:12], "Pack the bundle again.")
        durable.sync_folder(self._layout.blobs)
        self._refuse_unfit(manifest)
        return manifest

    def _refuse_unfit(self, manifest: Manifest) -> None:
        """What a host asks before it sends, asked again: not every release comes from a host that asked."""
        from edgewright.device.install import status  # that module is what starts this one

        wanted = next((layer.digest for layer in manifest.layers if layer.path == "needs.json"), "")
        asked = durable.read_json(self._layout.blob(wanted)) or {} if wanted else {}
        request = {"runtimes": sorted(asked.get("runtimes") or {}), "chip": bool(asked.get("soc_version"))}
        unfit = needs.difference(dict(asked, disk_bytes=0), status(self._layout, request))  # it has been received
        if unfit:
            raise Rejected(*unfit)

    def _admit(self, digest: str) -> None:
        arrived, blob = os.path.join(self._layout.incoming, digest), self._layout.blob(digest)
        if os.path.isfile(arrived) and not os.path.islink(arrived):
            if durable.sha256_of(arrived) != digest:
                durable.remove(arrived)
                raise ReleaseError("The blob %s arrived damaged." % digest[:12], "Deploy again: it is sent again.")
            os.chmod(arrived, 0o444)
            os.replace(arrived, blob)
        elif not os.path.isfile(blob):
            raise ReleaseError("The blob %s did not arrive." % digest[:12], "Deploy again: what is missing is sent.")

    def _assemble(self, manifest: Manifest) -> None:
        """Hard links to the blobs, in a folder that gets its name when it is complete."""
        making = self._layout.folder(".making-" + self._name)
        shutil.rmtree(making, ignore_errors=True)
        for layer in manifest.layers:
            path = os.path.join(making, *layer.path.split("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            try:
                os.link(self._layout.blob(layer.digest), path)
            except OSError:  # a file system without hard links, or too many of one file
                shutil.copyfile(self._layout.blob(layer.digest), path)
                durable.sync(path)
        own = {"number": self._number, "digest": self._digest, "serve": self._serve, "installed": time.time()}
        packages = wheels.unpack_all(self._layout, manifest)
        if packages:
            own["packages"] = packages
        if self._admitted:
            own["signed"] = dict(self._admitted)
        durable.write_json(os.path.join(making, OWN_FILE), own)
        for folder, _, _ in os.walk(making):
            durable.sync_folder(folder)
        os.rename(making, self._layout.folder(self._name))
        durable.sync_folder(self._layout.releases)

    def _check(self) -> Dict[str, Any]:
        """Golden answers, then time and memory. A limit that was missed is tried again, with the old release
        paused: two services on one board are no fair race, and one disturbed half second is no verdict."""
        limits = self._limits()
        if self._was_running and self._old and too_large(self._layout, self._name):
            self._pause()  # the board cannot hold both: the old release stops first, and the gap is told
        answer = replay(self._layout, self._name, bool(limits))
        if answer["mismatches"]:
            raise Rejected(
                "The golden replay gave other answers on this device: %s." % answer["mismatches"][0],
                "Measure this candidate on this device, or choose one with a higher precision.",
            )
        said = _missed(answer, limits)
        for attempt in range(RETRIES if said else 0):
            if attempt == 0 and self._was_running and self._old and not self._quiet:
                self._pause()
            answer = replay(self._layout, self._name, True)
            said = _missed(answer, limits)
            if not said:
                break
        if said:
            raise Rejected(said, "Raise the limit, or choose a faster or smaller candidate.")
        return answer

    def _limits(self) -> Dict[str, Any]:
        return durable.read_json(os.path.join(self._layout.folder(self._name), "gate.json")) or {}

    def _pause(self) -> None:
        """The quiet window: the old release rests until the new one serves, or until we end."""
        self._probe()
        self._quiet = not self._serving.follow(READY_S, paused=True)

    def _switch(self) -> None:
        layout = self._layout
        self._journal.record("managed", release=self._name, manager=managers.adopt(layout, self._serve))
        self._journal.record("switching", release=self._name)
        self._probe()
        layout.point(layout.current, self._name)
        self._journal.record("switched", release=self._name)
        said = self._serving.follow(READY_S)
        if said:
            raise Rejected("The new release does not start: %s." % said.rstrip("."), "See run/agent.log on the device.")
        self._journal.record("started", release=self._name)
        if not healthy(self._serving, self._name):
            raise Rejected("The new release does not answer /healthz.", "See run/agent.log on the device.")
        self._journal.record("healthy", release=self._name)
        said = bake(self._serving, self._name, float(self._serve.get("bake_s") or 0), self._limits())
        if said:
            raise Rejected("%s." % said.rstrip("."), "See run/agent.log on the device.")
        self._journal.record("baked", release=self._name)
        if self._old:
            layout.point(layout.previous, self._old)
        trust.raise_number(layout, self._admitted)
        self._journal.record("committed", release=self._name, number=self._number)

    def _probe(self) -> None:
        """Watches, from here on, for how long nobody answers."""
        if self._prober is None:
            self._prober = Prober.of(self._serving)

    def _give_up(self, error: BaseException) -> None:
        with reserve.spent(self._layout):
            give_up(self._layout, self._name, self._old, self._was_running, error, {"previous": self._before})

    def _restart(self, name: str) -> Dict[str, Any]:
        """The same release with the same settings: nothing to install, at most to mend or to start."""
        if whole.damaged(self._layout, name):
            self._receive()
            self._mend_live(name)
        elif self._serving.serves(name):
            return dict(self._outcome(name, replaced=None), unchanged=True)
        said = self._serving.follow(READY_S)
        if said or not healthy(self._serving, name):
            raise Rejected("The release does not start: %s." % (said or "no answer").rstrip("."), "See run/agent.log.")
        return self._outcome(name, replaced=None)

    def _mend(self) -> None:
        """What has been sent again is whole in the releases that lie here, too. What they failed for may have been the
        damage: that is forgotten."""
        self._mended += whole.mend(self._layout)
        for name in {path.split("/")[0] for path in self._mended}:
            BootCounter(self._layout).wanted(name)

    def _mend_live(self, name: str) -> None:
        """Mends the release that serves while it rests: whoever is killed here leaves no agent behind that has read the
        damaged files, for the supervisor starts it anew."""
        if self._was_running and whole.damaged(self._layout, name):
            self._pause()
        self._mend()
        left = whole.damaged(self._layout, name)
        if left:
            message = "The release %s is damaged on this device, and is still: %s." % (name, whole.listed(left))
            raise ReleaseError(message, "Deploy again; if that does not help, look at the device's disk.")
        self._journal.record("mended", release=name, files=self._mended[:100])

    def _outcome(self, name: str, replaced: Optional[str]) -> Dict[str, Any]:
        own, state = self._layout.describe(name) or {}, self._serving.state()
        return {
            "name": name,
            "number": own.get("number"),
            "digest": own.get("digest"),
            "url": self._serving.url(),
            "pid": (state.get("agent") or {}).get("pid"),
            "replaced": replaced,
            "unchanged": False,
            "quiet": self._quiet,
            "mended": self._mended,
            "gap_ms": self._prober.gap_ms() if self._prober else None,
            "replay": {k: self._replay.get(k) for k in ("samples", "p50_ms", "p95_ms", "memory_bytes", "load_seconds")},
        }


def too_large(layout: Layout, name: str) -> bool:
    """Whether the board's free memory cannot hold the release beside what runs."""
    asked = durable.read_json(os.path.join(layout.folder(name), "needs.json")) or {}
    wanted, free = asked.get("memory_bytes"), board.memory_available()
    return isinstance(wanted, int) and 0 < free < wanted


def replay(layout: Layout, name: str, timed: bool) -> Dict[str, Any]:
    """The golden replay of a release, by its own code, in a process of its own; `timed` where a limit hangs on it."""
    folder = layout.folder(name)
    request = {"seconds": 1.0, "at_least": 50} if timed else {"seconds": 0.1, "at_least": 10}
    argv = [sys.executable, "-m", "edgewright.device.golden", "replay", folder]
    try:
        done = subprocess.run(
            argv, input=json.dumps(request).encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder,
            env=environment(folder, layout), timeout=REPLAY_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Rejected("The golden replay did not end in %d s." % REPLAY_S, "Choose a faster candidate.") from None
    try:
        answer = json.loads(done.stdout.decode("utf-8"))
    except ValueError:
        tail = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it said nothing"]
        how = "signal %d" % -done.returncode if done.returncode < 0 else "status %d" % done.returncode
        message = "The golden replay ended with %s: %s." % (how, tail[0][:300])
        raise Rejected(message, "Run `edgewright doctor`.") from None
    if "error" in answer:
        raise Rejected("The golden replay failed: %s" % answer["error"]["message"], str(answer["error"]["remedy"]))
    return dict(answer)


def _missed(answer: Mapping[str, Any], limits: Mapping[str, Any]) -> str:
    p95, memory = answer.get("p95_ms"), answer.get("memory_bytes") or 0
    if limits.get("latency_p95_ms") and p95 is not None and p95 > limits["latency_p95_ms"]:
        return "On this device p95 is %.2f ms, over the limit of %g ms." % (p95, limits["latency_p95_ms"])
    if limits.get("memory_mb") and memory > limits["memory_mb"] * (1 << 20):
        return "On this device it takes %.0f MiB, over the limit of %g MiB." % (memory / (1 << 20), limits["memory_mb"])
    return ""
