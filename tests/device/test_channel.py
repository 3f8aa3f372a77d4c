"""A device fetches its channel from a real web server, and whoever holds the folder can make it take nothing else."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from board import Bakery, health
from channels import SOURCE, Shelf, Static, poll, run, serving
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp
from tuf.ngclient import Updater

from edgewright.device import channel, trust, tuf
from edgewright.device.fetch import Folder, Unreachable
from edgewright.device.release import Layout, ReleaseError
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.channel import Published, publish

LATER = datetime(2090, 1, 1, tzinfo=UTC)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    folder = tmp_path / "shelf"
    folder.mkdir()
    found = Shelf(folder)
    with serving(found):
        yield found


@pytest.fixture(scope="module")
def bakery(tmp_path_factory: pytest.TempPathFactory) -> Bakery:
    return Bakery(tmp_path_factory.mktemp("bakery"))


@pytest.fixture(scope="module")
def bundle(bakery: Bakery) -> Bundle:
    return bakery.bundle()


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    found = tmp_path / "device"
    yield found
    if found.is_dir():
        run("edgewright.device.install", found, "stop")


class Repository:
    """A published channel and a client of it, which knows the first root."""

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        self.to, self.keys, self.client = folder / "to", folder / "keys", folder / "client"
        self.bundle = bundle
        self.publish()
        tuf.begin(str(self.client), (self.to / "metadata/1.root.json").read_bytes())

    def publish(self, **words: Any) -> Published:
        return publish(self.bundle, self.to, "stable", self.keys, **words)

    def refresh(self, now: int | None = None, to: Path | None = None) -> dict[str, tuf.Target]:
        folder = Folder((to or self.to).as_uri(), attempts=1)
        return tuf.Client(str(self.client), folder.small, now).refresh()

    def snapshot(self, name: str) -> Path:
        """The published folder as it is now."""
        return Path(shutil.copytree(self.to / "metadata", self.to.parent / name / "metadata").parent)

    def signers(self, role: str) -> list[Any]:
        from edgewright.pipeline.channel import _load_key

        return [_load_key(path) for path in sorted(self.keys.glob(f"{role}-*"))]

    def resign(self, role: str, name: str, change: Callable[[Any], None], signers: list[Any] | None = None) -> None:
        """Changes a file of the folder, and signs it again by the role's own keys or by others."""
        path = self.to / "metadata" / name
        metadata: Any = Metadata.from_file(str(path))
        change(metadata.signed)
        metadata.signatures.clear()
        for signer in signers or self.signers(role):
            metadata.sign(signer, append=True)
        path.write_bytes(metadata.to_bytes())


@pytest.fixture
def repository(tmp_path: Path, bundle: Bundle) -> Repository:
    return Repository(tmp_path / "repository", bundle)


def test_a_device_installs_what_its_channel_has_and_serves_it(
    bakery: Bakery, bundle: Bundle, shelf: Shelf, root: Path, tmp_path: Path
) -> None:
    given = publish(bundle, shelf.folder, "stable", tmp_path / "keys").root
    assert "--trust" in poll(root, shelf.url)["remedy"]
    killed_while_it_fetches(root, shelf, given)
    there = {path.name for path in (root / "incoming").iterdir() if path.suffix != ".part"}
    shelf.asked.clear()
    told = poll(root, shelf.url)
    assert told["outcome"] == "installed" and told["digest"] == bundle.digest, told
    assert there and not there & {path.rpartition(".")[2] for path, _ in shelf.asked}
    assert health(told["url"])["release"] == bundle.digest
    shelf.asked.clear()
    again = poll(root, shelf.url)
    assert again["outcome"] == "current" and again["running"] and again["received"] < 10_000, again
    assert {path for path, _ in shelf.asked} == {"/metadata/2.root.json", "/metadata/timestamp.json"}
    assert poll(root, shelf.url, "--host", "127.0.0.1")["outcome"] == "current"
    publish(bakery.bundle(bias=0.25), shelf.folder, "stable", tmp_path / "keys")
    told = poll(root, shelf.url)
    assert told["outcome"] == "installed" and told["received"] < bundle.size / 2, told
    assert run("edgewright.device.install", root, "rollback")[0] == 0
    assert poll(root, shelf.url)["outcome"] == "kept"
    assert health(told["url"])["release"] == bundle.digest


def killed_while_it_fetches(root: Path, shelf: Shelf, given: Path) -> None:
    stalled = threading.Event()

    def stalls(handler: Static) -> bool:
        if len(shelf.asked) > 20:
            stalled.set()
            time.sleep(2.0)
        return stalled.is_set()

    shelf.misbehave = stalls
    argv = [sys.executable, "-m", "edgewright.device.channel", str(root), shelf.url, "--channel", "stable", "--trust"]
    with subprocess.Popen([*argv, str(given)], env={**os.environ, "PYTHONPATH": str(SOURCE)}) as process:
        assert stalled.wait(60)
        process.kill()
    shelf.misbehave = None


def test_a_release_that_fails_here_is_refused_once_and_not_fetched_again(
    bakery: Bakery, bundle: Bundle, shelf: Shelf, root: Path, tmp_path: Path
) -> None:
    wrong = bakery.bundle(golden_of=bundle, score=0.3)
    told = poll(root, shelf.url, "--trust", publish(wrong, shelf.folder, "stable", tmp_path / "keys").root)
    assert told["outcome"] == "refused" and not (root / "current").exists(), told
    again = poll(root, shelf.url)
    assert (again["outcome"], again["message"]) == ("refused", told["message"]) and again["received"] < 10_000


def test_a_device_that_knows_signers_takes_no_unsigned_release(
    bundle: Bundle, shelf: Shelf, root: Path, tmp_path: Path
) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    layout = Layout(str(root))
    layout.make()
    trust.enrol(layout, "me@x " + " ".join((tmp_path / "key.pub").read_text().split()[:2]) + "\n")
    told = poll(root, shelf.url, "--trust", publish(bundle, shelf.folder, "stable", tmp_path / "keys").root)
    assert told["outcome"] == "refused" and "not signed" in told["message"]
    assert not list((root / "incoming").iterdir()) and not (root / "current").exists()


def test_an_older_timestamp_snapshot_or_targets_is_refused(repository: Repository) -> None:
    old = repository.snapshot("old")
    repository.publish()
    repository.refresh()
    with pytest.raises(tuf.Refused, match="timestamp 1 is older than 2"):
        repository.refresh(to=old)
    repository.publish()
    for name, role in (("timestamp.json", "timestamp"), ("3.snapshot.json", "snapshot")):
        kept = repository.snapshot(f"before-{role}")

        def back(signed: Any, role: str = role) -> None:
            if role == "timestamp":
                signed.snapshot_meta = MetaFile(1)
            else:
                signed.meta["targets.json"] = MetaFile(1)

        repository.resign(role, name, back)
        if role == "snapshot":
            repository.resign("timestamp", "timestamp.json", lambda s: setattr(s, "snapshot_meta", MetaFile(3)))
        with pytest.raises(tuf.Refused, match="older"):
            repository.refresh()
        shutil.rmtree(repository.to / "metadata")
        shutil.copytree(kept / "metadata", repository.to / "metadata")
    assert "stable.json" in repository.refresh()


def test_a_channel_that_stands_still_is_refused_once_a_time_is_known(repository: Repository) -> None:
    client = tuf.Client(str(repository.client), Folder(repository.to.as_uri()).small, None)
    client.refresh()
    assert len(client.notes) == 4 and "no time is known" in client.notes[0]
    soon = int(time.time())
    assert repository.refresh(now=soon)
    with pytest.raises(tuf.Refused, match="timestamp expired"):
        repository.refresh(now=soon + 31 * 86400)
    repository.publish(expires_days=60)
    assert repository.refresh(now=soon + 31 * 86400)


def test_the_device_s_floor_of_time_is_what_expiry_is_held_against(repository: Repository, tmp_path: Path) -> None:
    layout = Layout(str(tmp_path / "device"))
    layout.make()
    tuf.begin(layout.root + "/channel", (repository.to / "metadata/1.root.json").read_bytes())
    trust.raise_time(layout, {"time": "2089-01-01T00:00:00Z"})
    told = channel.Channel(layout, Folder(repository.to.as_uri()), "stable").poll()
    assert told["outcome"] == "refused" and "expired" in told["message"]


def test_metadata_of_two_publications_is_not_mixed(repository: Repository) -> None:
    metadata = repository.to / "metadata"
    repository.publish()
    whole = (metadata / "2.snapshot.json").read_bytes()
    (metadata / "2.snapshot.json").write_bytes((metadata / "1.snapshot.json").read_bytes())
    with pytest.raises(tuf.Refused, match=r"2\.snapshot\.json is not the file"):
        repository.refresh()
    (metadata / "2.snapshot.json").unlink()
    with pytest.raises(tuf.Refused, match="missing"):
        repository.refresh()
    (metadata / "2.snapshot.json").write_bytes(whole)
    (metadata / "2.targets.json").write_bytes((metadata / "1.targets.json").read_bytes())
    with pytest.raises(tuf.Refused, match=r"2\.targets\.json is not the file"):
        repository.refresh()


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_key_of_somebody_else_or_of_another_role_is_refused(repository: Repository, role: str) -> None:
    name = "timestamp.json" if role == "timestamp" else f"1.{role}.json"
    stranger = CryptoSigner(Ed25519PrivateKey.generate())
    others = repository.signers("snapshot" if role == "timestamp" else "timestamp")
    for above in {"timestamp": (), "snapshot": ("timestamp",), "targets": ("snapshot", "timestamp")}[role]:

        def unpinned(signed: Any) -> None:
            meta = signed.meta["targets.json"] if isinstance(signed, Snapshot) else signed.snapshot_meta
            meta.hashes = meta.length = None

        repository.resign(above, "timestamp.json" if above == "timestamp" else f"1.{above}.json", unpinned)
    for signers in ([stranger], others):
        repository.resign(role, name, lambda _: None, signers)
        with pytest.raises(tuf.Refused, match="0 of 1 signatures"):
            repository.refresh()


def test_a_threshold_is_met_by_different_keys_alone(tmp_path: Path) -> None:
    one, two = (CryptoSigner(Ed25519PrivateKey.generate()) for _ in range(2))
    root = Root(version=1, expires=LATER, consistent_snapshot=True)
    for role in tuf.LIMITS:
        root.add_key(one.public_key, role)
    root.add_key(two.public_key, "root")
    root.roles["root"].threshold = 2
    alias = one.public_key.to_dict()
    made: Any = Metadata(root)
    made.sign(one)
    told = json.loads(made.to_bytes())
    told["signed"]["keys"]["f" * 64] = alias
    told["signed"]["roles"]["root"]["keyids"].append("f" * 64)
    signature = one.sign(tuf.canonical(told["signed"])).signature
    told["signatures"] = [{"keyid": name, "sig": signature} for name in (one.public_key.keyid, "f" * 64)]
    with pytest.raises(tuf.Refused, match="1 of 2 signatures"):
        tuf.begin(str(tmp_path / "client"), json.dumps(told).encode())
    made.sign(two, append=True)
    tuf.begin(str(tmp_path / "client"), made.to_bytes())


def test_a_new_root_counts_with_both_signatures_alone(repository: Repository) -> None:
    repository.refresh()
    assert repository.publish(rotate_root=True).root_version == 2
    path, (old, new) = repository.to / "metadata/2.root.json", repository.signers("root")
    whole = path.read_bytes()
    for signers in ([old], [new]):
        repository.resign("root", path.name, lambda _: None, signers)
        with pytest.raises(tuf.Refused, match="its root has 0 of 1"):
            repository.refresh()
    path.write_bytes(whole)
    repository.resign("root", path.name, lambda s: setattr(s, "version", 3), [old, new])
    with pytest.raises(tuf.Refused, match="has the version 3"):
        repository.refresh()
    path.write_bytes(whole)
    repository.publish(rotate_root=True)
    repository.refresh()
    assert json.loads((repository.client / "root.json").read_bytes())["signed"]["version"] == 3
    assert sorted(p.name for p in repository.keys.glob("root-*")) == ["root-1", "root-2", "root-3"]


def test_versions_that_a_thief_drove_up_are_forgotten_with_his_key(repository: Repository) -> None:
    repository.resign("timestamp", "timestamp.json", lambda s: setattr(s, "version", 1 << 40))
    repository.refresh()
    repository.publish()
    with pytest.raises(tuf.Refused, match="older"):
        repository.refresh()
    fresh, roots = CryptoSigner(Ed25519PrivateKey.generate()), repository.signers("root")
    (repository.to / "metadata/2.root.json").write_bytes((repository.to / "metadata/1.root.json").read_bytes())

    def rotated(signed: Any) -> None:
        signed.version = 2
        signed.revoke_key(signed.roles["timestamp"].keyids[0], "timestamp")
        signed.add_key(fresh.public_key, "timestamp")

    repository.resign("root", "2.root.json", rotated, roots)
    repository.resign("timestamp", "timestamp.json", lambda _: None, [fresh])
    assert "stable.json" in repository.refresh()


def test_a_cut_download_goes_on_where_it_was(shelf: Shelf, tmp_path: Path) -> None:
    data = os.urandom(1 << 20)
    (shelf.folder / "blob").write_bytes(data)
    digest = tuf._sha256(data)
    for ranges, second in ((True, 300_000), (False, 0)):
        shelf.ranges, shelf.cut_at = ranges, 300_000
        shelf.asked.clear()
        Folder(shelf.url, pause_s=0.01).large("blob", digest, len(data), str(tmp_path / "got"))
        assert (tmp_path / "got").read_bytes() == data
        assert [begin for _, begin in shelf.asked] == [0, second]
        (tmp_path / "got").unlink()
    shelf.ranges = True
    (tmp_path / "got.part").write_bytes(b"\0" * 1000)  # begun on another file: the whole is fetched anew
    Folder(shelf.url, pause_s=0.01).large("blob", digest, len(data), str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == data


def test_a_flipped_byte_is_not_kept(shelf: Shelf, tmp_path: Path) -> None:
    (shelf.folder / "blob").write_bytes(b"a" * 999 + b"b")
    with pytest.raises(Unreachable, match="damaged"):
        folder = Folder(shelf.url, attempts=2, pause_s=0.01)
        folder.large("blob", tuf._sha256(b"a" * 1000), 1000, str(tmp_path / "got"))
    assert not list(tmp_path.glob("got*"))


def test_a_server_that_fails_drips_or_never_ends_is_given_up_on(shelf: Shelf) -> None:
    def fails(handler: Static) -> bool:
        handler.send_error(503)
        return True

    def floods(handler: Static) -> bool:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"0" * 65536)

    def drips(handler: Static) -> bool:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"0")
            time.sleep(0.02)

    def silent(_: Static) -> bool:
        time.sleep(5.0)
        return True

    folder = Folder(shelf.url, timeout_s=1.0, attempts=2, pause_s=0.01)
    for misbehave, said in ((fails, "503"), (floods, "more than"), (drips, "too slowly"), (silent, "timed out")):
        shelf.misbehave = misbehave
        with pytest.raises(Unreachable, match=said):
            folder.small("metadata/timestamp.json", 1000)
    assert folder.received < 1 << 20


def test_a_certificate_that_nobody_vouched_for_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    (shelf.folder / "x").write_text("y")
    pem = tmp_path / "pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    extra = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(pem), "-out", str(tmp_path / "crt")]
    subprocess.run(["openssl", *words.split(), *extra], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt", pem)
    shelf.socket = context.wrap_socket(shelf.socket, server_side=True)
    port = shelf.server_address[1]
    with pytest.raises(Unreachable, match="certificate is refused"):
        Folder(f"https://localhost:{port}").small("x", 10)
    assert Folder(f"https://localhost:{port}", ca=str(tmp_path / "crt")).small("x", 10) == b"y"
    with pytest.raises(Unreachable, match="certificate is refused"):
        Folder(f"https://127.0.0.1:{port}", ca=str(tmp_path / "crt")).small("x", 10)


def test_it_polls_for_ever_and_says_a_line_each_time(repository: Repository, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "edgewright.device.channel", str(tmp_path / "device"), repository.to.as_uri()]
    words = ["--channel", "beta", "--every", "0.1", "--trust", str(repository.to / "metadata/1.root.json")]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with subprocess.Popen([*argv, *words], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(3):
            told = json.loads(process.stdout.readline())
            assert (told["channel"], told["outcome"]) == ("beta", "refused") and "no channel beta" in told["message"]
        process.terminate()


def test_only_https_http_and_file_are_asked_and_a_redirect_keeps_to_its_kind(shelf: Shelf, tmp_path: Path) -> None:
    for url in ("ftp://x/y", "/etc", "data:,x"):
        with pytest.raises(ReleaseError, match="no folder"):
            Folder(url)

    def leads(handler: Static) -> bool:
        handler.send_response(302)
        handler.send_header("Location", "ftp://127.0.0.1:1/x")
        handler.end_headers()
        return True

    shelf.misbehave = leads
    with pytest.raises(Unreachable, match="another scheme"):
        Folder(shelf.url, attempts=1).small("x", 10)


def test_the_reference_client_reads_our_metadata(repository: Repository, shelf: Shelf, tmp_path: Path) -> None:
    shutil.copytree(repository.to, shelf.folder, dirs_exist_ok=True)
    (tmp_path / "m").mkdir()
    (tmp_path / "t").mkdir()
    first = (repository.to / "metadata/1.root.json").read_bytes()
    repository.publish(rotate_root=True)
    shutil.copytree(repository.to, shelf.folder, dirs_exist_ok=True)
    urls = {"metadata_base_url": shelf.url + "/metadata/", "target_base_url": shelf.url + "/targets/"}
    updater = Updater(str(tmp_path / "m"), target_dir=str(tmp_path / "t"), bootstrap=first, **urls)
    updater.refresh()
    ours = repository.refresh()
    for name in ("stable.json", repository.bundle.digest):
        info = updater.get_targetinfo(name)
        assert info is not None and (info.hashes["sha256"], info.length) == (ours[name].digest, ours[name].size)
        assert tuf._sha256(Path(updater.download_target(info)).read_bytes()) == ours[name].digest


def test_metadata_of_the_reference_implementation_is_read(tmp_path: Path) -> None:
    signers = {role: [CryptoSigner(Ed25519PrivateKey.generate()) for _ in range(2)] for role in tuf.LIMITS}
    root = Root(version=1, expires=LATER, consistent_snapshot=True)
    for role, both in signers.items():
        for signer in both:
            root.add_key(signer.public_key, role)
        root.roles[role].threshold = 2
    foreign = CryptoSigner.generate_ecdsa()
    root.add_key(foreign.public_key, "targets")
    made: dict[str, Any] = {
        "1.root.json": ("root", root),
        "timestamp.json": ("timestamp", Timestamp(expires=LATER)),
        "1.snapshot.json": ("snapshot", Snapshot(expires=LATER)),
        "1.targets.json": ("targets", Targets(expires=LATER, unrecognized_fields={'x-ü"\\': ["é\n", None, True, -3]})),
    }
    (tmp_path / "metadata").mkdir()
    for name, (role, signed) in made.items():
        metadata: Any = Metadata(signed)
        for signer in [*signers[role], *([foreign] if role == "targets" else [])]:
            metadata.sign(signer, append=True)
        metadata.to_file(str(tmp_path / "metadata" / name))
    tuf.begin(str(tmp_path / "client"), (tmp_path / "metadata/1.root.json").read_bytes())
    assert tuf.Client(str(tmp_path / "client"), Folder(tmp_path.as_uri()).small, None).refresh() == {}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> dict[str, bytes]:
    found = Repository(tmp_path_factory.mktemp("published"), bundle)
    found.publish(rotate_root=True)
    return {f"metadata/{p.name}": p.read_bytes() for p in (found.to / "metadata").iterdir()}


NEEDED = ("metadata/2.root.json", "metadata/timestamp.json", "metadata/2.snapshot.json", "metadata/2.targets.json")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(NEEDED), at=st.integers(0, 1 << 16), what=st.binary(max_size=4), gone=st.integers(0, 4))
@example(name=NEEDED[1], at=0, what=b"\xef\xbb\xbf", gone=0)
@example(name=NEEDED[3], at=0, what=b"", gone=1)
def test_mutated_metadata_is_refused_or_means_the_same(
    published: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, name: str, at: int, what: bytes, gone: int
) -> None:
    def refreshed(files: dict[str, bytes]) -> dict[str, tuf.Target]:
        folder = str(tmp_path_factory.mktemp("client"))
        tuf.begin(folder, files["metadata/1.root.json"])
        return tuf.Client(folder, lambda path, _: files.get(path), int(time.time())).refresh()

    data = published[name]
    at %= len(data)
    try:
        found = refreshed({**published, name: data[:at] + what + data[at + gone :]})
    except tuf.Refused:
        return
    assert found == refreshed(published)
