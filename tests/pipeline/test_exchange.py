"""Bundles in registries: Debian's docker-registry and skopeo, which know nothing of us, keep every digest."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
from oci import FlakyRegistry, docker_registry

from edgewright.core.errors import DeviceError, InputError
from edgewright.core.record import canonical
from edgewright.pipeline import signing
from edgewright.pipeline.bundle import Bundle, Needs, read_bundle, write_bundle
from edgewright.pipeline.exchange import pull, push
from edgewright.pipeline.registry import Registry, parse_reference
from edgewright.pipeline.release_key import load_key


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A bundle of a few files, one of them empty and one of a megabyte, with what lies beside one."""
    artifact = tiny.artifact(tmp_path / "artifact")
    files: dict[str, Path | bytes] = {
        "service.json": artifact.folder / "service.json",
        "model/weights": b"w" * (1 << 20),
    }
    files |= {"app/task.py": artifact.folder / "app" / "task.py", "app/empty.py": b"", "needs.json": canonical(Needs())}
    found = write_bundle(files, {"descriptor": {"name": "tiny"}}, "tiny-fp32", tmp_path / "bundle")
    told = {"subject": [{"name": "tiny-fp32", "digest": {"sha256": found.digest}}]}
    for ending in (signing.PROVENANCE, ".attestation.json"):
        signing.beside(found.path, ending).write_text(json.dumps(told))
    return found


def allowed(key: Path) -> Path:
    path = key.with_name("allowed")
    public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    path.write_text(f'me@example.org namespaces="edgewright-release" {public}\n')
    return path


def test_a_pushed_bundle_is_pulled_digest_for_digest_with_what_vouches_for_it(
    host: str, bundle: Bundle, key: Path, tmp_path: Path
) -> None:
    signing.sign(bundle, load_key(key), number=7)
    place = parse_reference(f"{host}/team/cars:7")
    first = push(bundle, place)
    assert first.digest == bundle.digest and first.signed
    assert push(bundle, place).sent_bytes < 50_000 < first.sent_bytes, "blobs are sent once"
    pulled = pull(place, tmp_path / "pulled", allowed=allowed(key))
    assert pulled.digest == bundle.digest and pulled.files == bundle.files
    for path in bundle.path.rglob("*"):
        if path.is_file():
            assert (pulled.path / path.relative_to(bundle.path)).read_bytes() == path.read_bytes()
    for ending in signing.BESIDE:
        assert signing.beside(pulled.path, ending).read_bytes() == signing.beside(bundle.path, ending).read_bytes()
    exact = parse_reference(f"{host}/team/cars@sha256:{bundle.digest}")
    assert pull(exact, tmp_path / "exact").digest == bundle.digest
    assert not list(tmp_path.glob(".pulling-*"))


def test_a_new_signature_replaces_the_one_that_was_pushed(host: str, bundle: Bundle, key: Path, tmp_path: Path) -> None:
    place = parse_reference(f"{host}/team/signed-twice:1")
    for number in (3, 4):
        signing.sign(bundle, load_key(key), number=number)
        push(bundle, place)
    signed = signing.signed_beside(pull(place, tmp_path / "pulled"))
    assert signed and signed.number == 4


def test_another_program_copies_the_layout_to_a_registry_and_back(host: str, bundle: Bundle, tmp_path: Path) -> None:
    program = shutil.which("skopeo")
    if program is None:
        pytest.skip("there is no skopeo: sh tools/system-packages.sh")
    there = f"docker://{host}/skopeo/cars:1"
    back = tmp_path / "back"
    for words in (
        ["--dest-tls-verify=false", f"oci:{bundle.path}", there],
        ["--src-tls-verify=false", there, f"oci:{back}:cars"],
    ):
        done = subprocess.run([program, "copy", "--quiet", *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert read_bundle(back).digest == bundle.digest and read_bundle(back).files == bundle.files
    blobs = {path.name for path in (back / "blobs" / "sha256").iterdir()}
    assert blobs == set(bundle.sizes), "nothing is added and nothing missing"
    assert pull(parse_reference(f"{host}/skopeo/cars:1"), tmp_path / "ours").digest == bundle.digest


def test_what_another_program_copied_from_our_push_is_the_same_bundle(
    host: str, bundle: Bundle, tmp_path: Path
) -> None:
    program = shutil.which("skopeo")
    if program is None:
        pytest.skip("there is no skopeo: sh tools/system-packages.sh")
    push(bundle, parse_reference(f"{host}/team/ours:1"))
    words = ["--src-tls-verify=false", f"docker://{host}/team/ours:1", f"oci:{tmp_path / 'copy'}:x"]
    subprocess.run([program, "copy", "--quiet", *words], check=True, capture_output=True)
    assert read_bundle(tmp_path / "copy").digest == bundle.digest


def test_a_bundle_that_the_allowed_signers_did_not_sign_is_not_kept(
    host: str, bundle: Bundle, key: Path, tmp_path: Path
) -> None:
    place = parse_reference(f"{host}/team/unsigned:1")
    push(bundle, place)
    with pytest.raises(InputError, match="not signed"):
        pull(place, tmp_path / "pulled", allowed=allowed(key))
    assert not list(tmp_path.glob("*pull*"))


def test_a_tag_that_is_not_there_and_one_that_is_no_bundle_are_refused(host: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no"):
        pull(parse_reference(f"{host}/team/cars:none"), tmp_path / "a")
    place = parse_reference(f"{host}/other/image:1")
    (tmp_path / "config").write_bytes(b"{}")
    registry = Registry(place)
    digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    registry.put_blob(digest, tmp_path / "config")
    kind = "application/vnd.oci.image.manifest.v1+json"
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": f"sha256:{digest}", "size": 2}
    image = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": []}
    registry.put_manifest("1", json.dumps(image).encode())
    with pytest.raises(InputError, match="not a bundle"):
        pull(place, tmp_path / "b")


@pytest.fixture
def flaky() -> Iterator[FlakyRegistry]:
    found = FlakyRegistry(bytes(range(256)) * 40)
    yield found
    found.close()


def fetch(flaky: FlakyRegistry, path: Path, size: int | None = None) -> bytes:
    registry = Registry(parse_reference(f"{flaky.host}/a/b:1"))
    registry.get_blob(flaky.digest, len(flaky.content) if size is None else size, path)
    return path.read_bytes()


def test_a_download_that_is_cut_goes_on_where_it_was(flaky: FlakyRegistry, tmp_path: Path) -> None:
    flaky.cut = 3000
    assert fetch(flaky, tmp_path / "blob") == flaky.content
    assert [wanted for wanted, _ in flaky.asked] == ["", "bytes=3000-", "bytes=6000-", "bytes=9000-"]


def test_what_an_earlier_pull_left_is_gone_on_from(flaky: FlakyRegistry, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(flaky.content[:10_000])
    assert fetch(flaky, tmp_path / "blob") == flaky.content
    assert [wanted for wanted, _ in flaky.asked] == ["bytes=10000-"]


def test_a_registry_that_ignores_ranges_is_read_from_the_start(flaky: FlakyRegistry, tmp_path: Path) -> None:
    flaky.ranges = False
    (tmp_path / "blob").write_bytes(flaky.content[:100])
    assert fetch(flaky, tmp_path / "blob") == flaky.content


def test_other_bytes_than_the_digest_names_are_refused_and_not_gone_on_from(
    flaky: FlakyRegistry, tmp_path: Path
) -> None:
    (tmp_path / "blob").write_bytes(b"x" * 500)
    with pytest.raises(DeviceError, match="whole"):
        fetch(flaky, tmp_path / "blob")
    assert fetch(flaky, tmp_path / "blob") == flaky.content


def test_a_registry_that_always_cuts_is_given_up(flaky: FlakyRegistry, tmp_path: Path) -> None:
    flaky.cut = 1
    with pytest.raises(DeviceError, match="whole"):
        fetch(flaky, tmp_path / "blob")
    assert len(flaky.asked) < 20


def test_a_token_is_fetched_where_the_registry_asks_for_one_and_shown_to_nobody_else(
    flaky: FlakyRegistry, tmp_path: Path
) -> None:
    flaky.token = "secret"
    assert fetch(flaky, tmp_path / "blob") == flaky.content
    assert [authorization for _, authorization in flaky.asked] == ["", "Bearer secret"]
    elsewhere = FlakyRegistry(flaky.content)
    flaky.away = f"http://{elsewhere.host}/storage"
    try:
        assert fetch(flaky, tmp_path / "other") == flaky.content
        assert [authorization for _, authorization in elsewhere.asked] == [""]
    finally:
        elsewhere.close()


def test_a_registry_that_sends_round_in_a_circle_is_given_up(flaky: FlakyRegistry, tmp_path: Path) -> None:
    flaky.away = f"http://{flaky.host}/again"
    with pytest.raises(DeviceError, match="circle"):
        fetch(flaky, tmp_path / "blob")


def test_a_registry_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"127\.0\.0\.1:9 cannot be reached"):
        pull(parse_reference("127.0.0.1:9/a/b:1"), tmp_path / "x")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("localhost/a", ("localhost", "a", "latest", "")),
        ("registry.example.org/team/cars:7", ("registry.example.org", "team/cars", "7", "")),
        ("[::1]:5000/a/b", ("[::1]:5000", "a/b", "latest", "")),
        (f"h.x/a:1@sha256:{'a' * 64}", ("h.x", "a", "1", f"sha256:{'a' * 64}")),
    ],
)
def test_a_reference_is_taken_apart(text: str, parts: tuple[Any, ...]) -> None:
    found = parse_reference(text)
    assert (found.host, found.repository, found.tag, found.digest) == parts


@pytest.mark.parametrize(
    "text",
    ["", "cars", "team/cars:1", "h.x/", "h.x/A", "h.x/a:", "h.x/../a", "https://h.x/a", "h.x/a@sha256:12", "h.x/a b"],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_reference(text)
