"""Promises that hold over a whole run: nothing is contacted, what was checked is what ships, asked is not done.

The run is OpenVINO's with NNCF, whose libraries report home where nobody stops them. It is done by an interpreter of
its own in which every Python process, the workers and the service too, notes the addresses that it binds and asks for,
and is refused all but this machine.
"""

from __future__ import annotations

import hashlib
import json
import site
import textwrap
import venv
from collections.abc import Iterator
from pathlib import Path

import planted
import psutil
import pytest
from board import ask, health
from work import Ended, Work

from edgewright.core.recipe import Artifact

pytestmark = pytest.mark.slow

GUARD = """
    import os, sys

    HERE = ("127.0.0.1", "::1", "localhost", "", None)


    def guard(event, arguments):
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind"):
            address = arguments[1]
        elif event == "socket.getaddrinfo":
            address = (arguments[0], arguments[1])
        else:
            return
        if not isinstance(address, tuple):  # a path: another process of this machine
            return
        host = address[0].decode() if isinstance(address[0], bytes) else address[0]
        kind = "bind" if event == "socket.bind" else "ask"
        with open(%r, "a") as file:
            print(kind, host, " ".join(sys.argv)[:100], file=file)
        if host not in HERE:
            raise PermissionError("this test lets nothing out: %%s" %% (address,))


    sys.addaudithook(guard)
"""


def guarded(folder: Path, log: Path) -> Path:
    """A Python that sees what is installed here and lets no process of it talk to another machine."""
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    visible = "".join(f"import site; site.addsitedir({place!r})\n" for place in site.getsitepackages())
    (packages / "here.pth").write_text(visible)
    (packages / "sitecustomize.py").write_text(textwrap.dedent(GUARD) % str(log))
    return folder / "bin" / "python"


class Served:
    """A finished run whose service is up; `lines` are what its processes bound and asked for."""

    def __init__(self, work: Work, ended: Ended, log: Path) -> None:
        self.work, self.ended, self.log = work, ended, log
        self.url: str = ended.target()["service"]["url"]

    def hosts(self, kind: str) -> set[str]:
        lines = [line.split(" ", 2) for line in self.log.read_text().splitlines()]
        return {host for what, host, _ in lines if what == kind}

    def programs(self, kind: str) -> set[str]:
        return {line.split(" ", 2)[2] for line in self.log.read_text().splitlines() if line.startswith(kind)}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, facts: Path) -> Iterator[Served]:
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    folder = tmp_path_factory.mktemp("promises")
    log = folder / "network.txt"
    log.touch()
    work = Work(folder / "work", facts)
    work.python = str(guarded(folder / "python", log))
    planted.colour_model(work.folder / "colours.onnx")
    planted.colour_pictures(work.folder / "train", 8, seed=0)
    planted.colour_pictures(work.folder / "val", 12, seed=1)
    work.configure(
        model="colours.onnx",
        task={"kind": "classification", "labels": list(planted.COLOURS)},
        data={"calibration": "train", "validation": "val"},
        targets=[{"name": "local", "family": "openvino", "options": {"threads": 1}}],
        watch={"interval_s": 0.5, "for_s": 2},
    )
    ended = work.run()
    assert ended.code == 0, ended.err
    yield Served(work, ended, log)
    work.end()


def test_a_run_contacts_nothing_but_this_machine(served: Served) -> None:
    picture = (served.work.folder / "val" / "red" / "000.png").read_bytes()
    assert ask(served.url + "/infer", picture, "image/png")[0] == 200
    assert served.programs("bind"), "the guard saw nothing: it was not in force"
    assert served.hosts("ask") <= {"127.0.0.1", "localhost", "::1"}, served.programs("ask")


def test_the_service_binds_to_the_loopback_alone(served: Served) -> None:
    assert served.hosts("bind") == {"127.0.0.1"}, served.programs("bind")
    pid = health(served.url)["pid"]
    listening = [c for c in psutil.Process(pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert {c.laddr.ip for c in listening} == {"127.0.0.1"}


def test_the_files_that_serve_are_the_files_that_were_checked(served: Served) -> None:
    chosen = served.ended.target()["chosen"]
    stored = [Artifact.from_json(json.loads(p.read_text())) for p in served.work.home.glob("cache/artifact/*.json")]
    (checked,) = [artifact for artifact in stored if artifact.recipe.name == chosen]
    release = Path(served.work.device().current).resolve()
    live = {str(p.relative_to(release)): digest(p) for p in release.rglob("*") if p.is_file()}
    assert {name: live.get(name) for name in checked.files} == dict(checked.files)
    beside = {name.split("/")[0] for name in set(live) - set(checked.files)}
    assert beside <= {"golden", "reference.json", "decision.json", "needs.json", "gate.json", "release.json"}
    folder = {name: digest(checked.folder / name) for name in checked.files}
    assert folder == dict(checked.files), "the files changed after they were checked"
    assert health(served.url)["release"] == served.ended.target()["service"]["digest"]


def test_every_candidate_says_what_it_really_executed(served: Served) -> None:
    target = served.ended.target()
    rows = {row["name"]: row for row in (target["baseline"], *target["candidates"])}
    for row in rows.values():
        assert sum(row["executed_precisions"].values()) == pytest.approx(1, abs=0.01), row["name"]
    assert rows["int8"]["executed_precisions"].get("int8", 0) > 0
    assert "int8" not in rows["fp32"]["executed_precisions"]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
