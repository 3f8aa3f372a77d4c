"""Signed releases on a real device folder: who is let in, who is not, and what the real ssh-keygen says of it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from board import Board, health
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from faulty import AT_STEP, Installer, hand_over, request
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.core.config import ServeConfig, SignConfig, TargetConfig
from edgewright.core.errors import InputError, RejectedRelease
from edgewright.core.record import canonical
from edgewright.device import signature, signers, trust
from edgewright.device.release import Rejected, ReleaseError
from edgewright.pipeline import signing
from edgewright.pipeline.bundle import Bundle, read_bundle
from edgewright.pipeline.deploy import plan_deploy
from edgewright.pipeline.release_key import KeygenKey, load_key

DAY = 86400
NOW = int(time.time())


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("old", "new", "stranger"):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
        subprocess.run(make, check=True)
    return folder


def line(keys: Path, name: str, *, after: int | None = None, before: int | None = None) -> str:
    """A line of allowed_signers."""
    times = [("valid-after", after), ("valid-before", before)]
    given = [f'{option}="{time.strftime("%Y%m%d%H%M%SZ", time.gmtime(at))}"' for option, at in times if at is not None]
    options = ",".join([f'namespaces="{signers.NAMESPACE}"', *given])
    return f"{name}@example.org {options} {' '.join((keys / f'{name}.pub').read_text().split()[:2])}\n"


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[Bundle], Bundle]:
    """A bundle of the test's own: the baked ones are shared, and what is beside them too."""

    def make(bundle: Bundle) -> Bundle:
        out = tmp_path / f"bundle-{bundle.digest[:8]}"
        shutil.copytree(bundle.path, out, dirs_exist_ok=True)
        provenance = signing.beside(bundle.path, signing.PROVENANCE)
        shutil.copyfile(provenance, signing.beside(out, signing.PROVENANCE))
        return read_bundle(out)

    return make


def signed(bundle: Bundle, keys: Path, name: str = "new", **said: Any) -> Bundle:
    signing.sign(bundle, load_key(keys / name), **said)
    return bundle


def test_ssh_keygen_accepts_what_we_sign(board: Board, keys: Path, copy: Any, tmp_path: Path) -> None:
    bundle = signed(copy(board.bundle()), keys, number=7)
    (tmp_path / "allowed").write_text(line(keys, "new"))
    verify = ["ssh-keygen", "-Y", "verify", "-f", tmp_path / "allowed", "-I", "new@example.org"]
    verify += ["-n", signers.NAMESPACE, "-s", signing.beside(bundle.path, signing.SIGNATURE)]
    statement = signing.beside(bundle.path, signing.STATEMENT).read_bytes()
    assert f"sha256:{bundle.digest}".encode() in statement
    assert subprocess.run(verify, input=statement, capture_output=True).returncode == 0
    assert subprocess.run(verify, input=statement + b" ", capture_output=True).returncode != 0


def test_a_statement_signed_by_ssh_keygen_is_taken_by_the_device(board: Board, keys: Path, copy: Any) -> None:
    bundle = signed(copy(board.bundle()), keys, "stranger")
    statement = signing.beside(bundle.path, signing.STATEMENT)
    signing.beside(bundle.path, signing.SIGNATURE).unlink()
    sign = ["ssh-keygen", "-Y", "sign", "-n", signers.NAMESPACE, "-f", str(keys / "new"), str(statement)]
    subprocess.run(sign, check=True, capture_output=True)
    trust.enrol(made(board), line(keys, "new"))
    assert board.deploy(bundle).digest == bundle.digest


def made(board: Board) -> Any:
    board.layout.make()
    return board.layout


def test_a_device_without_signers_takes_any_release_and_says_so(board: Board) -> None:
    bundle = board.bundle()

    async def plan() -> tuple[str, ...]:
        return (await plan_deploy(bundle, TargetConfig(), ServeConfig(), await board.link())).steps

    assert "takes any" in asyncio.run(plan())[0]
    assert trust.describe(board.layout)["unsigned_allowed"]
    assert trust.admit(board.layout, bundle.digest, None) is None


def test_a_signed_release_goes_live_and_the_device_remembers_by_whom(board: Board, keys: Path, copy: Any) -> None:
    trust.enrol(made(board), line(keys, "new"))
    bundle = signed(copy(board.bundle()), keys, number=7)
    release = board.deploy(bundle)
    own = board.layout.describe(board.names()[0])["signed"]
    assert (own["number"], own["by"]) == (7, "new@example.org")
    floor = trust.describe(board.layout)["floor"]
    assert (floor["number"], floor["digest"]) == (7, bundle.digest) and floor["time"] == own["time"]
    assert health(release.url)["release"] == bundle.digest
    board.assert_whole()


def nothing_was_sent(board: Board) -> bool:
    return not list((board.root / "incoming").glob("*")) and not list(Path(board.layout.blobs).glob("*"))


def test_what_is_unsigned_or_wrongly_signed_is_refused_before_a_byte_is_sent(
    board: Board, keys: Path, copy: Any
) -> None:
    trust.enrol(made(board), line(keys, "new"))
    bundle = copy(board.bundle())
    with pytest.raises(RejectedRelease, match="not signed"):
        board.deploy(bundle)
    with pytest.raises(RejectedRelease, match=r"signed by SHA256:.* does not know"):
        board.deploy(signed(bundle, keys, "stranger"))
    signed(bundle, keys)
    statement = signing.beside(bundle.path, signing.STATEMENT)
    statement.write_text(statement.read_text().replace('"number":', '"number":9'))
    with pytest.raises(RejectedRelease, match="does not fit"):
        board.deploy(bundle)
    assert nothing_was_sent(board) and board.names() == (None, None)


@pytest.mark.parametrize("change", ["signature", "statement"])
def test_a_flipped_bit_is_refused(board: Board, keys: Path, copy: Any, change: str) -> None:
    layout = made(board)
    trust.enrol(layout, line(keys, "new"))
    found = signing.sign(copy(board.bundle()), load_key(keys / "new"))
    text, armour = found.statement, found.signature
    for at in range(0, len(text if change == "statement" else armour), 17):
        request = {"statement": text, "signature": armour}
        letters = list(request[change])
        letters[at] = chr(ord(letters[at]) ^ 1)
        request[change] = "".join(letters)
        if request[change].split() == (text if change == "statement" else armour).split():
            continue
        with pytest.raises(Rejected):
            trust.admit(layout, board.bundle().digest, request)
    assert trust.admit(layout, board.bundle().digest, {"statement": text, "signature": armour})


def test_the_installer_itself_refuses_what_was_sent_round_the_host_s_check(board: Board, keys: Path, copy: Any) -> None:
    from edgewright.device import install

    trust.enrol(made(board), line(keys, "new"))
    bundle = copy(board.bundle())
    for digest in bundle.sizes:
        shutil.copyfile(bundle.blob(digest), Path(board.layout.incoming) / digest)
    with pytest.raises(Rejected, match="not signed"):
        install.install(board.layout, {"manifest": bundle.digest})
    assert not list(Path(board.layout.releases).iterdir()) and not Path(board.layout.journal).exists()


def test_a_signature_of_another_release_is_refused(board: Board, keys: Path, copy: Any) -> None:
    trust.enrol(made(board), line(keys, "new"))
    other = signing.sign(copy(board.bundle(score=0.4)), load_key(keys / "new"))
    with pytest.raises(Rejected, match="another release"):
        trust.admit(board.layout, board.bundle().digest, other.request())


def test_a_signature_made_for_something_else_is_refused(board: Board, keys: Path, copy: Any) -> None:
    layout = made(board)
    trust.enrol(layout, line(keys, "new"))
    key, text = (
        load_key(keys / "new"),
        signing.sign(copy(board.bundle()), load_key(keys / "new")).statement,
    )
    raw = key.raw(signature.signed_data(text.encode(), "git"))
    assert raw is not None
    request = {"statement": text, "signature": signature.armoured(key.public, "git", raw)}
    with pytest.raises(Rejected, match="'git'"):
        trust.admit(layout, board.bundle().digest, request)


def test_release_numbers_only_go_up(board: Board, keys: Path, copy: Any) -> None:
    trust.enrol(made(board), line(keys, "new"))
    first, second = copy(board.bundle()), copy(board.bundle(score=0.4))
    board.deploy(signed(first, keys, number=3))
    board.deploy(signed(second, keys, number=5))
    with pytest.raises(RejectedRelease, match="number 3, and this device has had 5"):
        board.deploy(first)
    with pytest.raises(RejectedRelease, match="number 5"):
        board.deploy(signed(first, keys, number=5))
    assert board.deploy(second).unchanged, "the same release once more is none that goes back"


def test_after_a_rollback_what_serves_may_be_installed_again_but_nothing_else_that_is_old(
    board: Board, keys: Path, copy: Any
) -> None:
    layout = made(board)
    trust.enrol(layout, line(keys, "new"))
    serving, newer, other = copy(board.bundle()), board.bundle(score=0.4), board.bundle(score=0.3)
    board.deploy(signed(serving, keys, number=3))
    trust.raise_number(layout, {"number": 5, "digest": newer.digest})  # it was live, and then `previous` came back
    for bundle, number in ((serving, 3), (newer, 5), (other, 6)):
        admitted = trust.admit(layout, bundle.digest, stated_request(bundle, keys, number))
        assert admitted and admitted["number"] == number
    for bundle, number in ((newer, 4), (other, 5), (other, 4)):
        with pytest.raises(Rejected, match="has had 5"):
            trust.admit(layout, bundle.digest, stated_request(bundle, keys, number))


def stated_request(bundle: Bundle, keys: Path, number: int, *, name: str = "new", at: int = NOW, **more: Any) -> Any:
    """What the installer is given for a release signed at a time of our choice."""
    found = {"format": 1, "manifest": f"sha256:{bundle.digest}", "number": number, "signed": signers.utc(at), **more}
    text, key = canonical(found).decode(), load_key(keys / name)
    return {"statement": text, "signature": key.armoured(text.encode())}


def test_before_any_signed_time_is_known_expiry_is_told_and_after_that_enforced(board: Board, keys: Path) -> None:
    layout, bundle = made(board), board.bundle()
    trust.enrol(layout, line(keys, "old", before=NOW - DAY))
    request = stated_request(bundle, keys, 1, name="old")
    admitted = trust.admit(layout, bundle.digest, request)
    assert admitted and "valid until" in admitted["notes"][0] and "not enforced" in admitted["notes"][0]
    trust.raise_time(layout, {"time": signers.utc(NOW - 2 * DAY)})
    with pytest.raises(Rejected, match="valid until"):
        trust.admit(layout, bundle.digest, request)


def test_a_key_that_expired_cannot_sign_as_of_an_earlier_day(board: Board, keys: Path) -> None:
    layout, bundle = made(board), board.bundle()
    trust.enrol(layout, line(keys, "old", before=NOW - 10 * DAY) + line(keys, "new"))
    early = stated_request(bundle, keys, 1, name="old", at=NOW - 20 * DAY)
    assert trust.admit(layout, bundle.digest, early)
    trust.raise_time(layout, trust.admit(layout, bundle.digest, stated_request(bundle, keys, 2)))
    with pytest.raises(Rejected, match="valid until"):
        trust.admit(layout, bundle.digest, early)


def test_the_newest_signed_time_is_the_floor_and_never_falls(board: Board, keys: Path) -> None:
    layout, bundle = made(board), board.bundle()
    trust.enrol(layout, line(keys, "new"))
    for at, known in ((NOW - DAY, NOW - DAY), (NOW - 5 * DAY, NOW - DAY), (NOW, NOW)):
        trust.raise_time(layout, trust.admit(layout, bundle.digest, stated_request(bundle, keys, 1, at=at)))
        assert trust.describe(layout)["floor"]["time"] == signers.utc(known)


def test_keys_are_rotated_by_lines_that_overlap(board: Board, keys: Path) -> None:
    layout, bundle = made(board), board.bundle()
    trust.enrol(layout, line(keys, "old", before=NOW + DAY) + line(keys, "new", after=NOW - DAY))
    trust.raise_time(layout, {"time": signers.utc(NOW - 30 * DAY)})
    for name, at, fits in (
        ("old", NOW, True),
        ("new", NOW, True),
        ("new", NOW - 2 * DAY, False),
        ("old", NOW + 2 * DAY, False),
        ("new", NOW + 2 * DAY, True),
    ):
        request = stated_request(bundle, keys, 1, name=name, at=at)
        if fits:
            assert trust.admit(layout, bundle.digest, request)["notes"] == []  # type: ignore[index]
        else:
            with pytest.raises(Rejected, match="valid"):
                trust.admit(layout, bundle.digest, request)
    trust.enrol(layout, line(keys, "new"))
    with pytest.raises(Rejected, match="does not know"):
        trust.admit(layout, bundle.digest, stated_request(bundle, keys, 1, name="old"))


def test_a_release_past_its_own_expiry_is_refused(board: Board, keys: Path) -> None:
    layout, bundle = made(board), board.bundle()
    trust.enrol(layout, line(keys, "new"))
    request = stated_request(bundle, keys, 1, at=NOW - 9 * DAY, expires=signers.utc(NOW - DAY))
    assert trust.admit(layout, bundle.digest, request)
    trust.raise_time(layout, {"time": signers.utc(NOW)})
    with pytest.raises(Rejected, match="expired"):
        trust.admit(layout, bundle.digest, request)


@pytest.mark.parametrize("file", ["allowed_signers", "floor.json"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"rot"])
def test_a_damaged_file_of_trust_lets_nothing_in(board: Board, keys: Path, file: str, content: bytes) -> None:
    layout, bundle = made(board), board.bundle()
    trust.enrol(layout, line(keys, "new"))
    (board.root / "trust" / file).write_bytes(content)
    with pytest.raises(Rejected):
        trust.admit(layout, bundle.digest, stated_request(bundle, keys, 1))
    assert not trust.describe(layout)["unsigned_allowed"]
    trust.enrol(layout, line(keys, "new"), forget=True)
    assert trust.admit(layout, bundle.digest, stated_request(bundle, keys, 1))


def test_a_file_of_signers_that_could_not_be_held_to_is_not_enrolled(board: Board, keys: Path) -> None:
    layout = made(board)
    trust.enrol(layout, line(keys, "new"))
    for text in ("", "# nobody\n", "alice ssh-rsa AAAA\n"):
        with pytest.raises(ReleaseError):
            trust.enrol(layout, text)
    assert trust.describe(layout)["signers"][0]["identity"] == "new@example.org"


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2}, {"number": 0}, {"number": True}, {"number": "7"}, {"signed": "today"}, {"signed": None},
        {"manifest": "sha256:12"}, {"manifest": None}, {"expires": "never"}, {"surprise": 1}, {"name": "x" * 20000},
    ],
)  # fmt: skip
def test_a_signed_statement_of_another_form_is_refused(board: Board, keys: Path, change: dict[str, Any]) -> None:
    layout, bundle = made(board), board.bundle()
    trust.enrol(layout, line(keys, "new"))
    found = {"format": 1, "manifest": f"sha256:{bundle.digest}", "number": 1, "signed": signers.utc(NOW), **change}
    text = canonical(found).decode()
    armour = load_key(keys / "new").armoured(text.encode())
    with pytest.raises(Rejected):
        trust.admit(layout, bundle.digest, {"statement": text, "signature": armour})


def test_the_provenance_is_an_in_toto_statement_in_a_signed_envelope(board: Board, keys: Path, copy: Any) -> None:
    bundle = signed(copy(board.bundle()), keys)
    envelope = json.loads(signing.beside(bundle.path, signing.ENVELOPE).read_text())
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"].encode()
    message = b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])
    public: Any = load_ssh_public_key((keys / "new.pub").read_bytes())
    public.verify(base64.b64decode(envelope["signatures"][0]["sig"]), message)
    with pytest.raises(InvalidSignature):
        public.verify(base64.b64decode(envelope["signatures"][0]["sig"]), message + b" ")
    statement = json.loads(payload)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [{"name": bundle.name, "digest": {"sha256": bundle.digest}}]
    details = statement["predicate"]["runDetails"]
    assert details["builder"]["version"]["edgewright"]
    assert details["byproducts"][0]["annotations"]["verdict"] == "pass"
    assert statement["predicate"]["buildDefinition"]["internalParameters"]["recipe"]["name"] == "tiny-fp32"
    assert signing.verify(bundle).provenance


def test_the_host_verifies_as_a_device_does(board: Board, keys: Path, copy: Any, tmp_path: Path) -> None:
    bundle, allowed = copy(board.bundle()), tmp_path / "allowed"
    allowed.write_text(line(keys, "new"))
    with pytest.raises(InputError, match="not signed"):
        signing.verify(bundle, allowed)
    assert signing.verify(signed(bundle, keys), allowed).by == "new@example.org"
    assert signing.verify(bundle).by == ""
    allowed.write_text(line(keys, "new", before=NOW - DAY))
    with pytest.raises(InputError, match="valid until"):
        signing.verify(bundle, allowed)
    allowed.write_text(line(keys, "old"))
    with pytest.raises(InputError, match="does not know"):
        signing.verify(bundle, allowed)
    other = signing.beside(bundle.path, signing.ENVELOPE)
    other.write_text(other.read_text().replace('"sig": "', '"sig": "AAAA'))
    with pytest.raises(InputError, match="not by the signer"):
        signing.verify(bundle)


def test_a_configured_key_signs_once_and_keeps_the_number(board: Board, keys: Path, copy: Any) -> None:
    bundle = copy(board.bundle())
    assert signing.vouch(bundle, SignConfig(), keys) is None
    first = signing.vouch(bundle, SignConfig(key="new"), keys)
    assert first and abs(first.number - time.time()) < 3600
    assert signing.vouch(bundle, SignConfig(key="new"), keys) == first
    other = signing.vouch(bundle, SignConfig(key="new", number=12, days=3), keys)
    assert other and other.number == 12 and other.expires > other.signed
    assert signing.vouch(bundle, SignConfig(key="old", number=12), keys).key != other.key  # type: ignore[union-attr]


def test_a_release_that_comes_back_after_another_is_given_a_greater_number(board: Board, keys: Path, copy: Any) -> None:
    """As when a candidate is chosen, another one, and the first again: no old release is sent again."""
    one, two, config = copy(board.bundle()), copy(board.bundle(score=0.4)), SignConfig(key="new")
    last, numbers = None, []
    for bundle in (one, one, two, one, one):
        found = signing.vouch(bundle, config, keys, last)
        assert found
        last = signing.Vouched(bundle.digest, found.number)
        numbers.append(found.number)
    assert numbers[0] == numbers[1] < numbers[2] < numbers[3] == numbers[4]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80) | st.recursive(st.none() | st.integers() | st.text(max_size=9), st.lists).map(json.dumps))
def test_any_text_is_refused_as_a_statement(text: str) -> None:
    with pytest.raises(Rejected):
        trust.parse_statement(text)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_the_commit_the_floor_never_lets_an_older_release_in(
    board: Board, keys: Path, copy: Any, when: str
) -> None:
    trust.enrol(made(board), line(keys, "new"))
    bundle = signed(copy(board.bundle()), keys, number=7)
    hand_over(board, bundle)
    signature_of = signing.signed_beside(bundle)
    assert signature_of
    fault = AT_STEP.format(step="committed", when=when, what="kill", sign=str(board.folder / "met"))
    asked = {**request(bundle), "release": signature_of.request()}
    answer = Installer(board, "install", asked, fault).answer()
    assert answer.code == -signal.SIGKILL, answer.err
    assert board.deploy(bundle).digest == bundle.digest
    assert trust.describe(board.layout)["floor"]["number"] == 7
    with pytest.raises(Rejected, match="has had 7"):
        other = board.bundle(score=0.4)
        trust.admit(board.layout, other.digest, stated_request(other, keys, 6))


def test_a_key_in_an_agent_signs_by_its_public_file(
    board: Board, keys: Path, copy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = Path("/tmp") / f"agent-{os.getpid()}-{tmp_path.name[-8:]}"  # its path may have 108 letters
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not socket.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        bundle, public = copy(board.bundle()), tmp_path / "new.pub"
        shutil.copyfile(keys / "new.pub", public)
        with pytest.raises(InputError, match="did not sign"):
            signing.sign(bundle, load_key(public))
        subprocess.run(["ssh-add", "-q", str(keys / "new")], check=True, capture_output=True)
        signing.sign(bundle, load_key(public), number=5)
    finally:
        agent.kill()
        agent.wait()
        socket.unlink(missing_ok=True)
    trust.enrol(made(board), line(keys, "new"))
    verified = signing.verify(bundle)
    assert trust.admit(board.layout, bundle.digest, verified.signed.request()) and not verified.provenance


def test_a_key_with_a_passphrase_is_handed_to_ssh_keygen(tmp_path: Path) -> None:
    words = ["-t", "ed25519", "-N", "secret", "-f", str(tmp_path / "key")]
    subprocess.run(["ssh-keygen", "-q", *words], check=True)
    key = load_key(tmp_path / "key")
    assert isinstance(key, KeygenKey)
    assert (
        " ".join((tmp_path / "key.pub").read_text().split()[1:2])
        == base64.b64encode(signature.key_blob(key.public)).decode()
    )
    (tmp_path / "key.pub").unlink()
    with pytest.raises(InputError, match="passphrase"):
        load_key(tmp_path / "key")


@pytest.mark.parametrize("kind", ["missing", "public", "ecdsa", "open", "rot"])
def test_a_key_that_cannot_sign_is_refused_in_a_sentence(keys: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "key"
    if kind in ("ecdsa", "public"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(path)], check=True)
        if kind == "public":
            shutil.copyfile(tmp_path / "key.pub", path)
    elif kind == "open":
        shutil.copyfile(keys / "new", path)
        path.chmod(0o644)
    elif kind == "rot":
        path.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
        path.chmod(0o600)
    with pytest.raises(InputError) as caught:
        load_key(path)
    assert caught.value.remedy and "\n" not in caught.value.message
