"""What holds for a channel in a folder and for one in a registry alike: two polls at once, a full disk, TLS."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from board import Bakery, Board
from channels import SOURCE, Front, Shelf, poll, serving
from faulty import assert_one_whole_release
from oci import docker_registry

from edgewright.device import needs
from edgewright.device.fetch import Folder, Unreachable
from edgewright.device.registry import Registry
from edgewright.pipeline.channel import publish
from edgewright.pipeline.stop import stop


@pytest.fixture(params=["folder", "registry"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shelf | Front]:
    """Where a channel can be published, and asked for."""
    folder = tmp_path / "place"
    folder.mkdir()
    if request.param == "folder":
        found: Shelf | Front = Shelf(folder)
        with serving(found):
            yield found
        return
    with docker_registry(folder) as host:
        found = Front(host)
        with serving(found):
            yield found


def started(board: Board, place: Shelf | Front, given: Path) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "edgewright.device.channel", str(board.root), place.url]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    return subprocess.Popen(
        [*argv, "--channel", "stable", "--trust", str(given)], stdout=subprocess.PIPE, text=True, env=environment
    )


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    return dict(json.loads(process.communicate(timeout=120)[0]))


def test_of_two_polls_at_once_the_second_says_that_it_is_busy(
    bakery: Bakery, place: Shelf | Front, board: Board, tmp_path: Path
) -> None:
    bundle = bakery.bundle()
    given = publish(bundle, place.to, "stable", tmp_path / "keys").root
    largest = max(bundle.sizes, key=bundle.sizes.__getitem__)
    met, go_on = threading.Event(), threading.Event()

    def stalls(handler: Any) -> bool:
        if largest in handler.path:
            met.set()
            go_on.wait(60)
        return False

    place.misbehave = stalls
    with started(board, place, given) as first:
        assert met.wait(60)
        before = {path for path in board.root.rglob("*") if path.is_file()}
        second = poll(board.root, place.url)
        assert second["outcome"] == "busy" and "Another poll" in second["message"], second
        assert {path for path in board.root.rglob("*") if path.is_file()} == before
        go_on.set()
        answer = told(first)
    assert answer["outcome"] == "installed", answer
    assert_one_whole_release(board, bundle)
    assert poll(board.root, place.url)["outcome"] == "current"


def test_of_polls_that_begin_together_one_installs_and_the_device_is_whole(
    bakery: Bakery, place: Shelf | Front, board: Board, tmp_path: Path
) -> None:
    given = publish(bakery.bundle(), place.to, "stable", tmp_path / "keys").root
    with contextlib.ExitStack() as stack:
        polls = [stack.enter_context(started(board, place, given)) for _ in range(3)]
        outcomes = sorted(told(process)["outcome"] for process in polls)
    assert outcomes.count("installed") == 1 and set(outcomes) <= {"installed", "busy", "current"}, outcomes
    again = poll(board.root, place.url)
    assert again["outcome"] == "current" and again["running"], again
    assert_one_whole_release(board, bakery.bundle())


@pytest.fixture
def small_disk(board: Board) -> Iterator[Callable[[], None]]:
    """The device folder on a small file system, with more than the reserve that a fetch asks for; the call fills it."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("elsewhere: mounting needs root on Linux")
    board.root.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={needs.RESERVE_BYTES + (32 << 20)}", "tmpfs", str(board.root)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"elsewhere: no tmpfs can be mounted: {done.stderr}")

    def fill() -> None:
        with (board.root / "ballast").open("ab", buffering=0) as out:
            for size in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while out.write(b"\0" * size) == size:
                        pass

    yield fill
    stop(board.store)
    subprocess.run(["umount", "-l", str(board.root)], capture_output=True)


@pytest.mark.slow
def test_a_disk_that_fills_up_during_a_fetch_leaves_the_old_release_serving(
    bakery: Bakery, place: Shelf | Front, board: Board, tmp_path: Path, small_disk: Callable[[], None]
) -> None:
    old, new = bakery.bundle(), bakery.bundle(bias=0.25)
    given = publish(old, place.to, "stable", tmp_path / "keys").root
    assert poll(board.root, place.url, "--trust", given)["outcome"] == "installed"
    publish(new, place.to, "stable", tmp_path / "keys")
    release = hashlib.sha256((tmp_path / "keys/metadata/stable.channel").read_bytes()).hexdigest()
    fresh = max((digest for digest in new.sizes if digest not in old.sizes), key=new.sizes.__getitem__)
    for wanted in ("timestamp", release, fresh):
        filled = threading.Event()

        def fills(handler: Any, wanted: str = wanted, filled: threading.Event = filled) -> bool:
            if wanted in handler.path and not filled.is_set():
                filled.set()
                small_disk()
            return False

        place.misbehave = fills
        answer = poll(board.root, place.url)
        assert filled.is_set() and answer["outcome"] == "failed", (wanted, answer)
        assert "No space left" in answer["message"], answer
        assert_one_whole_release(board, old)
        (board.root / "ballast").unlink()
    place.misbehave = None
    assert poll(board.root, place.url)["outcome"] == "installed"
    assert_one_whole_release(board, new)


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[Shelf, str]]:
    """A server with TLS at an address that is asked with TLS alone, and the certificate to verify it by."""
    folder, pem, certificate = tmp_path / "secure", tmp_path / "pem", tmp_path / "crt"
    folder.mkdir()
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=secure"
    extra = ["-addext", "subjectAltName=IP:127.0.0.2", "-keyout", str(pem), "-out", str(certificate)]
    subprocess.run(["openssl", *words.split(), *extra], check=True, capture_output=True)
    found = Shelf(folder, "127.0.0.2")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, pem)
    found.socket = context.wrap_socket(found.socket, server_side=True)
    with serving(found):
        yield found, str(certificate)


def leads_to(place: str) -> Callable[[Any], bool]:
    def leads(handler: Any) -> bool:
        handler.send_response(307)
        handler.send_header("Location", place + handler.path)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    return leads


def test_a_server_with_tls_that_leads_to_one_without_is_not_followed(secure: tuple[Shelf, str], tmp_path: Path) -> None:
    server, certificate = secure
    (tmp_path / "plain").mkdir()
    plain = Shelf(tmp_path / "plain")
    with serving(plain):
        server.misbehave = leads_to(plain.url)
        own = server.url.removeprefix("http://")
        for transport in (Folder(f"https://{own}", ca=certificate), Registry(f"oci://{own}/a/b", ca=certificate)):
            with pytest.raises(Unreachable, match="another scheme"):
                transport.small("metadata/timestamp.json", 1000)
            with pytest.raises(Unreachable, match="another scheme"):
                transport.large("targets/x", "0" * 64, 1000, str(tmp_path / "got"))
    assert len(server.asked) == 4 and not plain.asked and not (tmp_path / "got").exists()


def test_a_server_without_tls_may_lead_to_one_with_it(secure: tuple[Shelf, str], tmp_path: Path) -> None:
    server, certificate = secure
    (server.folder / "x").write_text("y")
    (tmp_path / "plain").mkdir()
    plain = Shelf(tmp_path / "plain")
    with serving(plain):
        plain.misbehave = leads_to("https://" + server.url.removeprefix("http://"))
        assert Folder(plain.url, ca=certificate).small("x", 10) == b"y"


def test_a_redirect_without_end_or_to_an_odd_address_is_no_harm(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("y")
    server = Shelf(tmp_path)

    def endless(handler: Any) -> bool:
        if handler.path == "/x":
            return False
        handler.send_response(302)
        handler.send_header("Location", server.url + "/x")
        handler.end_headers()
        with contextlib.suppress(OSError):
            while True:
                handler.wfile.write(b"0" * 65536)
        return True

    with serving(server):
        server.misbehave = endless
        assert Folder(server.url, attempts=1).small("elsewhere", 10) == b"y"
        for odd in ("http://[::1", "http://x y/", "http://h:port/"):
            server.misbehave = leads_to(odd)
            for transport in (Folder, Registry):
                url = server.url if transport is Folder else f"oci://{server.url.removeprefix('http://')}/a/b"
                with pytest.raises(Unreachable):
                    transport(url, attempts=1).small("metadata/timestamp.json", 1000)
