"""Signatures as a board verifies them, against the vectors of the RFC, another library and the real ssh-keygen."""

from __future__ import annotations

import base64
import contextlib
import subprocess
import time
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.device import ed25519, signature, signers

# RFC 8032, section 7.1: TEST 1, 2, 3, SHA(abc), as public key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        "4a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030"
        "3dca179c138ac17ad9bef1177331a704",
    ),
]


@pytest.mark.parametrize(("public", "message", "signed"), VECTORS)
def test_the_vectors_of_the_rfc_verify_and_no_changed_one_does(public: str, message: str, signed: str) -> None:
    key, text, raw = bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signed)
    assert ed25519.verify(key, text, raw)
    assert not ed25519.verify(key, text + b"x", raw)
    for at in (0, 31, 32, 63):
        assert not ed25519.verify(key, text, raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])


def test_a_signature_made_larger_by_the_group_s_order_is_refused() -> None:
    key, text, raw = (bytes.fromhex(part) for part in VECTORS[1])
    larger = int.from_bytes(raw[32:], "little") + ed25519.ORDER
    assert not ed25519.verify(key, text, raw[:32] + larger.to_bytes(32, "little"))


def test_a_key_of_small_order_signs_nothing() -> None:
    neutral = (1).to_bytes(32, "little")
    assert not ed25519.verify(neutral, b"anything", neutral + bytes(32))
    for odd in (bytes(32), b"\xff" * 32, (ed25519.PRIME + 1).to_bytes(32, "little"), b"", bytes(31)):
        assert not ed25519.verify(odd, b"anything", neutral + bytes(32))


@settings(max_examples=25, deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=200), flip=st.integers(0, 64 * 8 - 1))
def test_it_judges_as_the_cryptography_library_does(seed: bytes, message: bytes, flip: int) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public, raw = private.public_key().public_bytes_raw(), private.sign(message)
    assert ed25519.verify(public, message, raw)
    changed = bytearray(raw)
    changed[flip // 8] ^= 1 << flip % 8
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(bytes(changed), message)
        theirs = True
    except InvalidSignature:
        theirs = False
    assert ed25519.verify(public, message, bytes(changed)) == theirs


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for kind in ("ed25519", "rsa"):
        make = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", f"{kind}@example.org", "-f", str(folder / kind)]
        subprocess.run(make, check=True)
    return folder


def keygen_signs(key: Path, message: Path, *more: str, namespace: str = signers.NAMESPACE) -> str:
    sign = ["ssh-keygen", "-Y", "sign", "-n", namespace, *more, "-f", str(key), str(message)]
    message.with_name(message.name + ".sig").unlink(missing_ok=True)
    subprocess.run(sign, check=True, capture_output=True)
    return message.with_name(message.name + ".sig").read_text()


@pytest.mark.parametrize("name", ["sha256", "sha512"])
def test_what_ssh_keygen_signs_is_taken(keys: Path, tmp_path: Path, name: str) -> None:
    message = tmp_path / "statement"
    message.write_bytes(b'{"number": 7}')
    made = signature.read(keygen_signs(keys / "ed25519", message, "-O", f"hashalg={name}"))
    assert signature.verifies(made, b'{"number": 7}') and not signature.verifies(made, b'{"number": 8}')
    assert (made.namespace, made.hash) == (signers.NAMESPACE, name)
    listed = subprocess.run(["ssh-keygen", "-lf", keys / "ed25519.pub"], capture_output=True, text=True).stdout
    assert signature.fingerprint(made.public) in listed
    assert signature.armoured(made.public, made.namespace, made.raw, made.hash).split() == (
        (tmp_path / "statement.sig").read_text().split()
    )


def test_a_signature_by_another_type_of_key_is_refused_with_its_name(keys: Path, tmp_path: Path) -> None:
    message = tmp_path / "statement"
    message.write_bytes(b"x")
    with pytest.raises(signature.BadSignature, match="ssh-rsa"):
        signature.read(keygen_signs(keys / "rsa", message))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120) | st.just(b"SSHSIG\0\0\0\1" + b"\0\0\0\0" * 5))
def test_any_blob_is_read_or_refused(blob: bytes) -> None:
    text = f"{signature.BEGIN}\n{base64.b64encode(blob).decode()}\n{signature.END}\n"
    with pytest.raises(signature.BadSignature):
        signature.read(text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_refused_as_a_signature(text: str) -> None:
    with pytest.raises(signature.BadSignature):
        signature.read(text)


def public_key(folder: Path) -> str:
    return " ".join((folder / "ed25519.pub").read_text().split()[:2])


def test_the_file_of_allowed_signers_is_read(keys: Path) -> None:
    key = public_key(keys)
    found = signers.parse(
        f'# who may sign\n\nold@x namespaces="edgewright-release",valid-before="20261201" {key} a comment\n'
        f'"new@x" valid-after="20261101093000Z",namespaces="git,edge*,!edgewright-test" {key}\nplain@x {key}\n'
    )
    assert [signer.identity for signer in found] == ["old@x", "new@x", "plain@x"]
    assert [signers.utc(signer.before) for signer in found] == ["2026-12-01T00:00:00Z", "", ""]
    assert signers.utc(found[1].after) == "2026-11-01T09:30:00Z"
    assert [signer.serves("edgewright-release") for signer in found] == [True, True, True]
    assert [signer.serves("edgewright-test") for signer in found] == [False, False, True]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "no signer"),
        ("alice", "a line is"),
        ("alice ssh-rsa AAAA", "ssh-rsa"),
        ("alice ssh-ed25519 AAAA", "damaged"),
        ("alice ssh-ed25519 é", "damaged"),
        ("alice cert-authority KEY", "cert-authority"),
        ('alice valid-before="tomorrow" KEY', "no time"),
        ('alice valid-before="20261301" KEY', "no time"),
        ("alice valid-before=20261201 KEY", "given once"),
        ('alice namespaces="a",namespaces="b" KEY', "given once"),
        ('alice namespaces="a KEY', "quote"),
    ],
)
def test_a_line_that_could_not_be_held_to_is_refused(keys: Path, line: str, said: str) -> None:
    with pytest.raises(signers.BadSigners, match=said):
        signers.parse(line.replace("KEY", public_key(keys)))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=120))
def test_any_text_is_a_list_of_signers_or_is_refused(text: str) -> None:
    with contextlib.suppress(signers.BadSigners):
        assert signers.parse(text)


@pytest.mark.parametrize(
    ("options", "fits"),
    [
        ('namespaces="edgewright-release"', True),
        ('namespaces="git,edgewright-?elease"', True),
        ('namespaces="git"', False),
        ('namespaces="*,!edgewright-release"', False),
        ('valid-after="20200101Z"', True),
        ('valid-before="20200101Z"', False),
    ],
)
def test_ssh_keygen_reads_the_same_lines_alike(keys: Path, tmp_path: Path, options: str, fits: bool) -> None:
    line = f"alice@example.org {options} {public_key(keys)}\n"
    (tmp_path / "allowed").write_text(line)
    message = tmp_path / "m"
    message.write_bytes(b"x")
    keygen_signs(keys / "ed25519", message)
    verify = ["ssh-keygen", "-Y", "verify", "-f", tmp_path / "allowed", "-I", "alice@example.org"]
    verify += ["-n", signers.NAMESPACE, "-s", tmp_path / "m.sig"]
    done = subprocess.run(verify, input=b"x", capture_output=True)
    assert (done.returncode == 0) == fits, done.stderr
    (signer,) = signers.parse(line)
    now = time.time()
    in_time = (signer.after is None or signer.after <= now) and (signer.before is None or now < signer.before)
    assert (signer.serves(signers.NAMESPACE) and in_time) == fits
