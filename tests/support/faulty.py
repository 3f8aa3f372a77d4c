"""The device's installer as a process of its own, with a fault built in: it is killed, fails or hangs where it is told
to, is out of space at one write, or writes down everything it does to the disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from board import Board, ask, health
from survival import asked

from edgewright.core.config import ServeConfig
from edgewright.device import install as device_install
from edgewright.device.journal import STEPS, Journal
from edgewright.device.mishaps import INTERRUPTED
from edgewright.device.release import parse_manifest
from edgewright.pipeline.bundle import Bundle

SOURCE = Path(sys.modules["edgewright"].__file__ or "").parent.parent
SERVE = {**ServeConfig(bake_s=0).model_dump(exclude={"wheels"}), "manager": "supervisor"}
PATIENCE_S = 120.0

INSTALL = "from edgewright.device import install; sys.exit(install.main([sys.argv[1], sys.argv[2]]))"

AT_STEP = """
import os, signal, time
from edgewright.device import journal
step, when, what, sign = {step!r}, {when!r}, {what!r}, {sign!r}
record, armed = journal.Journal.record, [True]
def meet():
    armed.clear()
    open(sign, "w").close()
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "error":
        raise OSError(5, "Input/output error")
    time.sleep(3600)
def recorded(self, name, **facts):
    if armed and (name, when) == (step, "before"):
        meet()
    record(self, name, **facts)
    if armed and (name, when) == (step, "after"):
        meet()
journal.Journal.record = recorded
"""
"""`what` (kill, error, hang) before or after the line of `step` is in the journal; the file `sign` says that it was."""

AT_CHANGE = """
import os, signal
from edgewright.device import journal
root, left, began, opened = {root!r}, [{number}], [{since!r} is None], [None]
MOVES = ("os.rename", "os.symlink", "os.link", "os.remove", "shutil.rmtree")
def meet(event, args):
    if event in MOVES:
        changes = any(str(path).startswith(root) for path in args[:2])  # within rmtree they are relative
    else:
        writes = event == "open" and (args[2] or 0) & (os.O_WRONLY | os.O_RDWR)
        writes = writes and args[0] != opened[0]  # open() with an opener is met twice
        changes = event == "os.kill" or writes and str(args[0]).startswith(root)
    opened[0] = args[0] if event == "open" else None
    if began[0] and changes and not any(aside in str(args[0]) for aside in ("install.lock", "run/reserve-")):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
record = journal.Journal.record
def recorded(self, name, **facts):
    began[0] = began[0] or name == {since!r}
    record(self, name, **facts)
journal.Journal.record = recorded
sys.addaudithook(meet)
"""
"""A kill before the change `number`, counted from the journal's step `since` (None: from the first one)."""

PATIENCES = """
from edgewright.device import supervise
for name, value in {patience!r}.items():
    assert hasattr(supervise, name), name
    setattr(supervise, name, value)
sys.exit(supervise.main([sys.argv[1]]))
"""


@dataclass(frozen=True)
class Answer:
    """How an installer ended: its status, and the JSON object it said (empty where it said nothing)."""

    code: int
    said: dict[str, Any]
    err: str

    @property
    def message(self) -> str:
        return str((self.said.get("error") or {}).get("message", ""))


class Installer:
    """One run of the installer; `fault` is Python that is run before it. It has a process group of its own."""

    def __init__(
        self, board: Board, op: str, request: Mapping[str, Any], fault: str = "", env: Mapping[str, str] | None = None
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"import sys\n{fault}\n{INSTALL}", str(board.root), op],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(SOURCE), **(env or {})},
        )  # fmt: skip
        self.pid = self._process.pid
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(dict(request)).encode())
        self._process.stdin.close()
        self._process.stdin = None

    def ended(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        """The installer and the programs it waits for, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def answer(self) -> Answer:
        out, err = self._process.communicate(timeout=PATIENCE_S)
        lines = out.decode().splitlines()
        said = json.loads(lines[-1]) if lines else {}
        return Answer(self._process.returncode, said, err.decode("utf-8", "replace"))


def at_change(board: Board, number: int, since: str | None = None) -> str:
    return AT_CHANGE.format(root=str(board.root), number=number, since=since)


def hand_over(board: Board, bundle: Bundle) -> None:
    """What a host does before it asks for an installation: the blobs that are not there, whole, on the disk."""
    board.layout.make()
    for digest in bundle.sizes:
        if not Path(board.layout.blob(digest)).exists():
            shutil.copyfile(bundle.blob(digest), Path(board.layout.incoming) / digest)
    os.sync()


def request(bundle: Bundle, **serve: Any) -> dict[str, Any]:
    return {"manifest": bundle.digest, "serve": {**SERVE, **serve}}


def begin(
    board: Board, bundle: Bundle, fault: str = "", env: Mapping[str, str] | None = None, **serve: Any
) -> Installer:
    """An installation that runs."""
    hand_over(board, bundle)
    return Installer(board, "install", request(bundle, **serve), fault, env)


def install(
    board: Board, bundle: Bundle, fault: str = "", env: Mapping[str, str] | None = None, **serve: Any
) -> Answer:
    """An installation to its end."""
    return begin(board, bundle, fault, env, **serve).answer()


def install_as_it_is(board: Board, bundle: Bundle) -> Answer:
    """An installation of what was handed over before, whatever became of it since."""
    return Installer(board, "install", request(bundle)).answer()


def recover(board: Board) -> Answer:
    """What the next host to come along asks first: it ends what was cut."""
    return Installer(board, "missing", {"sizes": {}}).answer()


def recovered(board: Board) -> str:
    """What the next host to come along is told of an operation that was cut, "" where none was: which, how far it had
    come, and what became of it. Who asks later is told the same."""
    opened = Journal(board.layout.journal).open_installation()
    answer = recover(board)
    assert answer.code == 0, answer
    said = str(answer.said["recovered"])
    if opened is None:
        assert said == ""
        return said
    release, step = opened[0]["release"], [record["step"] for record in opened if record["step"] in STEPS][-1]
    reasons = [record["reason"].rstrip(".") for record in opened if record["step"] == "condemned"]
    assert f"{release} ended after the step `{step}`: {(reasons or [INTERRUPTED])[-1]}; " in said
    last = told(board)["last"]
    assert (last["release"], last["step"], last["over"]) == (release, step, False), last
    assert said.endswith(f"; {last['outcome']}."), (said, last)
    return said


def told(board: Board) -> dict[str, Any]:
    """What `status` says."""
    return device_install.status(board.layout, {})


def roll_back(board: Board, fault: str = "") -> Answer:
    """A rollback to its end, by an operator who takes the lease for it."""
    lease = {"owner": "tester", "token": "t" * 16, "host": "", "process": None}
    return Installer(board, "rollback", {"lease": lease}, fault).answer()


def supervise(board: Board, **patience: float) -> subprocess.Popen[bytes]:
    """The supervisor as the machine's start would start it; `patience` changes its constants (READY_S=2 …)."""
    board.layout.make()
    with (board.root / "run" / "supervisor.err").open("wb") as err:
        started = subprocess.Popen(
            [sys.executable, "-c", "import sys" + PATIENCES.format(patience=patience), str(board.root)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err, cwd="/", start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONNOUSERSITE": "1"},
        )  # fmt: skip
    wait_for(lambda: (state(board).get("supervisor") or {}).get("pid") == started.pid or started.poll() is not None)
    return started


def power_off(board: Board) -> None:
    """Supervisor and agent are gone in the same moment, as if there had never been a SIGTERM."""
    for role in ("supervisor", "agent"):
        with contextlib.suppress(ProcessLookupError, TypeError):
            os.kill((state(board).get(role) or {}).get("pid"), signal.SIGKILL)


def state(board: Board) -> dict[str, Any]:
    try:
        return dict(json.loads(Path(board.layout.state).read_text()))
    except (OSError, ValueError):
        return {}


def url(board: Board) -> str:
    known = state(board)
    return f"http://{known.get('host')}:{known.get('port')}"


def serving(board: Board) -> dict[str, Any]:
    """/healthz, {} where nobody answers."""
    try:
        return health(url(board))
    except (OSError, ValueError):
        return {}


def wait_for(condition: Callable[[], Any], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def assert_one_whole_release(board: Board, *allowed: Bundle) -> Bundle:
    """The device serves right answers from exactly one of `allowed`, which is whole, as is its predecessor: what
    `current` and `previous` name are two releases with all their files."""
    wait_for(lambda: serving(board).get("release") in {bundle.digest for bundle in allowed})
    current, previous = board.names()
    found = next(bundle for bundle in allowed if bundle.digest == serving(board)["release"])
    assert current is not None and current.endswith(found.digest[:12]), (current, found.digest)
    assert current != previous
    board.assert_whole()
    assert_right_answers(board, found)
    return found


def assert_right_answers(board: Board, bundle: Bundle) -> None:
    """/infer says of a picture what the golden samples of the bundle say of it."""
    (entry,) = json.loads(bundle.blob(bundle.files["golden/golden.json"]).read_text())["samples"][:1]
    sample = next(s for s in board.dataset.samples if s.id == entry["id"])
    status, body = ask(url(board) + "/infer", sample.path.read_bytes(), "image/png")
    assert status == 200, body
    (found,) = json.loads(body)["predictions"]
    (wanted,) = entry["prediction"]
    assert [found["class"], found["score"], *found["box"]] == [wanted[0], *wanted[1:]] or (
        found["class"] == wanted[0] and abs(found["score"] - wanted[1]) < 1e-3
    ), (found, wanted)
    asked()


def assert_static_whole(board: Board, *allowed: Bundle) -> str:
    """`current` names one of `allowed` with all its files: what the machine's next start would serve. Its name."""
    current, previous = board.names()
    assert current is not None and any(current.endswith(b.digest[:12]) for b in allowed), (current, previous)
    for name in {current, previous} - {None}:
        own = board.layout.describe(name)
        assert own is not None, name
        manifest = parse_manifest(Path(board.layout.blob(own["digest"])).read_bytes())
        assert {p.relative_to(board.layout.folder(str(name))).as_posix()
                for p in Path(board.layout.folder(str(name))).rglob("*") if p.is_file()} == {
            layer.path for layer in manifest.layers} | {"release.json"}  # fmt: skip
    board.assert_whole()
    return current
