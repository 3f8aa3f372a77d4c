"""A device follows a channel in a real registry, and whoever runs the registry can make it take nothing else."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from board import Bakery, Board
from channels import Front, poll, serving
from editions import NEW, Edition
from faulty import assert_one_whole_release
from hypothesis import given, settings
from hypothesis import strategies as st
from oci import FlakyRegistry, docker_registry

from edgewright.core.errors import DeviceError, InputError
from edgewright.device import registry as device
from edgewright.device import trust, tuf
from edgewright.device.fetch import Unreachable
from edgewright.device.release import Layout, ReleaseError
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.channel import Published, publish
from edgewright.pipeline.channel_place import parse_place
from edgewright.pipeline.device_program import archive
from edgewright.pipeline.exchange import pull
from edgewright.pipeline.registry import Reference, Registry, parse_reference


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def host(storage: Path) -> Iterator[str]:
    with docker_registry(storage) as address:
        yield address


class Followed:
    """A channel in a repository of its own, and a device folder that will follow it."""

    def __init__(self, front: Front, board: Board, name: str) -> None:
        self.front, self.keys, self.board = front, board.folder / "keys", board
        front.to = parse_reference(f"{front.host}/channels/{name}")
        self.url = f"oci://{front.own}/channels/{name}"
        self.registry = Registry(front.to)

    def publish(self, bundle: Bundle, channel: str = "stable", **words: Any) -> Published:
        assert isinstance(self.front.to, Reference)
        return publish(bundle, self.front.to, channel, self.keys, **words)

    def poll(self, *words: str | Path, **named: Any) -> dict[str, Any]:
        return poll(self.board.root, self.url, "--attempts", "2", *words, **named)

    def follow(self, bundle: Bundle) -> None:
        """The device serves `bundle` from the channel."""
        told = self.poll("--trust", self.publish(bundle).root)
        assert told["outcome"] == "installed", told
        self.serves(bundle)

    def serves(self, bundle: Bundle) -> None:
        assert_one_whole_release(self.board, bundle)

    def manifest(self, tag: str) -> bytes:
        found = self.registry.get_manifest(tag)
        assert found is not None
        return found

    @contextlib.contextmanager
    def tagged(self, tag: str, manifest: bytes) -> Iterator[None]:
        """While somebody has put another manifest under a tag."""
        before = self.manifest(tag)
        self.registry.put_manifest(tag, manifest)
        yield
        self.registry.put_manifest(tag, before)


@pytest.fixture
def followed(host: str, board: Board, request: pytest.FixtureRequest) -> Iterator[Followed]:
    front = Front(host)
    with serving(front):
        yield Followed(front, board, request.node.name.replace("_", "-")[:80].rstrip("-"))


def client_of(followed: Followed, folder: Path) -> dict[str, tuf.Target]:
    """The targets, as a device that knows the first root sees them."""
    folder.mkdir(exist_ok=True)
    tuf.begin(str(folder), (followed.keys / "metadata/1.root.json").read_bytes())
    return tuf.Client(str(folder), device.Registry(followed.url, attempts=1).small, None).refresh()


@pytest.mark.slow
def test_a_device_installs_what_its_channel_in_a_registry_has_and_the_next_release(
    bakery: Bakery, followed: Followed, tmp_path: Path
) -> None:
    first, second = bakery.bundle(), bakery.bundle(bias=0.25)
    followed.follow(first)
    followed.front.asked.clear()
    again = followed.poll()
    assert again["outcome"] == "current" and again["running"] and again["received"] < 10_000, again
    asked = [path.rpartition("/")[2] for path, _ in followed.front.asked]
    assert asked == ["2.root", "timestamp", "sha256:" + digest(followed.manifest("timestamp"))]
    published = followed.publish(second)
    assert published.sent_bytes < second.size / 2, "what the registry has is not sent again"
    told = followed.poll()
    assert told["outcome"] == "installed" and told["received"] < second.size / 2, told
    followed.serves(second)
    assert followed.publish(second, rotate_root=True).root_version == 2
    assert followed.poll()["outcome"] == "current"
    there = parse_reference(f"{followed.front.to}".rpartition(":")[0] + f":release.{second.digest}")
    assert pull(there, tmp_path / "pulled").digest == second.digest


def test_newer_device_programs_arrive_from_a_registry(bakery: Bakery, followed: Followed) -> None:
    old = Edition(journal="# older\n")
    words = ("--trust", followed.publish(bakery.bundle()).root)
    told = followed.poll(*words, environment={"PYTHONPATH": str(old.put(followed.board.root))})
    assert told["outcome"] == "installed" and told["programs"] == {"version": NEW}, told
    assert (followed.board.root / "channel/programs").readlink().name == NEW
    followed.serves(bakery.bundle())


def digest(manifest: bytes) -> str:
    return str(json.loads(manifest)["layers"][0]["digest"]).removeprefix("sha256:")


def test_an_old_timestamp_put_back_is_refused_and_the_device_serves_on(bakery: Bakery, followed: Followed) -> None:
    followed.follow(bakery.bundle())
    old = followed.manifest("timestamp")
    followed.publish(bakery.bundle())
    assert followed.poll()["outcome"] == "current"
    with followed.tagged("timestamp", old):
        told = followed.poll()
    assert told["outcome"] == "refused" and "timestamp 1 is older than 2" in told["message"], told
    followed.serves(bakery.bundle())
    assert followed.poll()["outcome"] == "current"


def test_a_registry_that_stands_still_is_refused_once_a_time_is_known(bakery: Bakery, followed: Followed) -> None:
    followed.follow(bakery.bundle())
    trust.raise_time(Layout(str(followed.board.root)), {"time": "2089-01-01T00:00:00Z"})
    told = followed.poll()
    assert told["outcome"] == "refused" and "expired" in told["message"], told
    followed.serves(bakery.bundle())


@pytest.mark.slow
def test_metadata_of_two_publications_is_not_mixed_in_a_registry(bakery: Bakery, followed: Followed) -> None:
    old, new = bakery.bundle(), bakery.bundle(bias=0.25)
    followed.follow(old)
    followed.publish(new)
    for role in ("snapshot", "targets"):
        with followed.tagged(f"2.{role}", followed.manifest(f"1.{role}")):
            told = followed.poll()
            assert told["outcome"] == "refused" and f"2.{role}.json is not the file" in told["message"], told
    followed.serves(old)
    assert followed.poll()["outcome"] == "installed"


@pytest.mark.slow
def test_a_blob_with_a_byte_flipped_in_the_registry_is_not_kept(
    bakery: Bakery, followed: Followed, storage: Path
) -> None:
    old, new = bakery.bundle(), bakery.bundle(bias=0.25)
    followed.follow(old)
    followed.publish(new)
    fresh = [found for found in new.sizes if found not in old.sizes and new.sizes[found]]
    for found in (digest(followed.manifest("timestamp")), max(fresh, key=new.sizes.__getitem__)):
        blob = storage / "data/docker/registry/v2/blobs/sha256" / found[:2] / found / "data"
        whole = blob.read_bytes()
        blob.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        told = followed.poll()
        assert told["outcome"] == "unreachable" and "damaged" in told["message"], told
        followed.serves(old)
        blob.write_bytes(whole)
    assert followed.poll()["outcome"] == "installed"


def test_whoever_reads_while_it_is_published_sees_the_release_before(
    bakery: Bakery, followed: Followed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = bakery.bundle(), bakery.bundle(bias=0.25)
    followed.publish(old)
    before = client_of(followed, tmp_path / "client")
    put = Registry.put_manifest
    for cut in ("release.", ".targets", ".snapshot", "timestamp"):

        def cuts(self: Registry, name: str, *words: Any, cut: str = cut) -> Any:
            if cut in name:
                raise DeviceError("The line is cut.", "Try again.")
            return put(self, name, *words)

        monkeypatch.setattr(Registry, "put_manifest", cuts)
        with pytest.raises(DeviceError, match="cut"):
            followed.publish(new)
        monkeypatch.undo()
        assert client_of(followed, tmp_path / "client") == before
    followed.publish(new)
    assert client_of(followed, tmp_path / "client") != before


def test_a_channel_that_was_published_elsewhere_does_not_keep_another_from_a_registry(
    bakery: Bakery, followed: Followed, tmp_path: Path
) -> None:
    publish(bakery.bundle(), tmp_path / "site", "stable", followed.keys)
    followed.publish(bakery.bundle(bias=0.25), "beta")
    beta = client_of(followed, tmp_path / "client")["beta.json"]
    device.Registry(followed.url).large(beta.place, beta.digest, beta.size, str(tmp_path / "beta"))
    told = followed.poll("--trust", followed.keys / "metadata/1.root.json")
    assert told["outcome"] == "unreachable" and "missing" in told["message"], told


def test_the_registry_s_garbage_collection_takes_nothing_of_a_channel(
    bakery: Bakery, tmp_path: Path, storage: Path
) -> None:
    own = tmp_path / "registry"
    own.mkdir()
    with docker_registry(own) as host:
        place = parse_place(f"oci://{host}/a/channel")
        for channel, bias in (("stable", 0.0), ("beta", 0.25), ("stable", 0.5)):
            publish(bakery.bundle(bias=bias), place, channel, tmp_path / "keys")
        words = ["docker-registry", "garbage-collect", "-m", str(own / "registry.yml")]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        repository = device.Registry(f"oci://{host}/a/channel")
        tuf.begin(str(tmp_path / "client"), (tmp_path / "keys/metadata/1.root.json").read_bytes())
        targets = tuf.Client(str(tmp_path / "client"), repository.small, None).refresh()
        assert {"stable.json", "beta.json", hashlib.sha256(archive()).hexdigest()} < set(targets)
        for target in targets.values():
            repository.large(target.place, target.digest, target.size, str(tmp_path / "blob"))


def test_a_token_is_fetched_where_the_registry_asks_for_one_by_who_has_logged_in(
    bakery: Bakery, storage: Path, followed: Followed, tmp_path: Path
) -> None:
    published, front = followed.publish(bakery.bundle()), followed.front
    front.login, front.token = "me:opensesame", "token-of-mine"
    more = f"auth: {{silly: {{realm: 'http://{front.own}/token', service: s}}}}\n"
    with docker_registry(storage, more) as asking:
        front.host = asking
        told = followed.poll("--trust", published.root)
        assert told["outcome"] == "unreachable" and "docker login" in told["remedy"], told
        login = tmp_path / "login"
        login.mkdir()
        auth = base64.b64encode(front.login.encode()).decode()
        (login / "config.json").write_text(json.dumps({"auths": {front.own: {"auth": auth}}}))
        told = followed.poll(environment={"DOCKER_CONFIG": str(login)})
        assert told["outcome"] == "installed", told
        assert set(front.shown[-5:]) == {"Bearer token-of-mine"}
        log = "".join(path.read_text(errors="replace") for path in followed.board.root.rglob("*") if path.is_file())
        assert not any(secret in log + str(told) for secret in (auth, "opensesame", "token-of-mine"))


def test_a_name_and_password_are_shown_where_the_registry_asks_for_them(
    bakery: Bakery, followed: Followed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed.publish(bakery.bundle())
    basic = "Basic " + base64.b64encode(b"me:opensesame").decode()

    def locked(handler: Any) -> bool:
        if handler.headers.get("Authorization") == basic:
            return False
        handler.send_response(401)
        handler.send_header("WWW-Authenticate", 'Basic realm="x"')
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    followed.front.misbehave = locked
    config = {"auths": {followed.front.own: {"auth": basic[6:]}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert "stable.json" in client_of(followed, tmp_path / "client")
    config["auths"][followed.front.own]["auth"] = base64.b64encode(b"me:wrong").decode()
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(device.Denied) as told:
        client_of(followed, tmp_path / "client")
    assert "401" in told.value.message and "wrong" not in str(told.value)


@pytest.fixture
def flaky() -> Iterator[FlakyRegistry]:
    found = FlakyRegistry(bytes(range(256)) * 40)
    yield found
    found.close()


def fetch(flaky: FlakyRegistry, path: Path) -> bytes:
    found = device.Registry(f"oci://{flaky.host}/a/b", pause_s=0.01)
    found.large("targets/x", flaky.digest, len(flaky.content), str(path))
    return path.read_bytes()


def test_a_cut_download_of_a_blob_goes_on_where_it_was(flaky: FlakyRegistry, tmp_path: Path) -> None:
    flaky.cut = 3000
    assert fetch(flaky, tmp_path / "blob") == flaky.content
    assert [wanted for wanted, _ in flaky.asked] == ["", "bytes=3000-", "bytes=6000-", "bytes=9000-"]


def test_a_registry_that_knows_no_ranges_is_read_from_the_start(flaky: FlakyRegistry, tmp_path: Path) -> None:
    flaky.ranges = False
    (tmp_path / "blob.part").write_bytes(flaky.content[:100])
    assert fetch(flaky, tmp_path / "blob") == flaky.content


def test_a_token_is_shown_to_no_other_place_that_the_registry_sends_to(flaky: FlakyRegistry, tmp_path: Path) -> None:
    flaky.token = "secret"
    elsewhere = FlakyRegistry(flaky.content)
    flaky.away = f"http://{elsewhere.host}/storage"
    try:
        assert fetch(flaky, tmp_path / "blob") == flaky.content
        assert [shown for _, shown in flaky.asked] == ["", "Bearer secret"]
        assert [shown for _, shown in elsewhere.asked] == [""]
    finally:
        elsewhere.close()


def test_a_token_is_fetched_over_tls_or_from_the_registry_itself(flaky: FlakyRegistry, tmp_path: Path) -> None:
    found = device.Registry(f"oci://{flaky.host}/a/b")
    with pytest.raises(Unreachable, match="not safe"):
        found._authorized('Bearer realm="http://192.0.2.1/token",service="s"')


@pytest.mark.parametrize(
    "text",
    ["oci://", "oci://h.x", "oci://h.x/", "oci://h.x/A", "oci://h.x/a:1", "oci://me:opensesame@h.x/a", "oci:h/a"],
)
def test_what_is_no_repository_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ReleaseError) as told:
        device.Registry(text)
    assert "opensesame" not in str(told.value)
    if text.startswith("oci://"):
        with pytest.raises(InputError):
            parse_place(text)


def test_a_registry_elsewhere_is_asked_with_tls_alone_unless_it_is_said() -> None:
    assert device.Registry("oci://r.example.org/a")._url == "https://r.example.org/v2/a/"
    assert device.Registry("oci://r.example.org/a", plain_http=True)._url == "http://r.example.org/v2/a/"
    assert device.Registry("oci://[::1]:5000/a")._url == "http://[::1]:5000/v2/a/"


LAYER = st.fixed_dictionaries(
    {}, optional={"mediaType": st.just(device.METADATA_TYPE) | st.text(), "digest": st.text() | st.integers(),
                  "size": st.integers() | st.text() | st.booleans()},
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.binary() | st.one_of(LAYER, st.lists(LAYER), st.text()).map(lambda x: json.dumps({"layers": x}).encode()))
def test_a_manifest_of_any_other_form_is_not_believed(manifest: bytes) -> None:
    with pytest.raises(Unreachable, match="no file of a channel"):
        device._file(manifest, "timestamp")
    with pytest.raises(Unreachable):
        device._file(b"[" * 100_000, "timestamp")
