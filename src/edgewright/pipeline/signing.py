"""Signing: what vouches for a bundle, in files beside it; the bundle itself, and so its digest, stays as it is.

    <bundle>.release.json         the statement: name, manifest digest, number, time, maybe an expiry (device/trust.py)
    <bundle>.release.json.sig     SSHSIG over those bytes: `ssh-keygen -Y verify` takes it, and its own is taken here
    <bundle>.provenance.json      an in-toto statement of how the bundle came about (pipeline/provenance.py)
    <bundle>.provenance.dsse.json the same in a DSSE envelope, signed by the same key

Signing needs the `cryptography` package; verifying is the device's own program, so that both ends judge alike.
"""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.core.config import SignConfig
from edgewright.core.errors import InputError
from edgewright.core.record import Record, canonical
from edgewright.device import ed25519, signature, signers, trust
from edgewright.device.durable import write_text
from edgewright.device.release import ReleaseError
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.release_key import Key, load_key

STATEMENT, SIGNATURE = ".release.json", ".release.json.sig"
PROVENANCE, ENVELOPE = ".provenance.json", ".provenance.dsse.json"
BESIDE = (STATEMENT, SIGNATURE, PROVENANCE, ENVELOPE, ".attestation.json")
"""What may lie beside a bundle, by the end of its name."""
BESIDE_LIMIT = 16 << 20
PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True)
class Signed(Record):
    """A bundle's signature as it is beside it: `statement` is what was signed, byte for byte; `key` is the key's
    fingerprint; times read 2026-11-22T10:00:00Z, `expires` is "" where it does not."""

    statement: str
    signature: str
    number: int
    signed: str
    expires: str
    key: str

    def request(self) -> dict[str, str]:
        """What the device's installer is given."""
        return {"statement": self.statement, "signature": self.signature}


def sign(bundle: Bundle, key: Key, *, number: int | None = None, days: int | None = None) -> Signed:
    """Writes the statement, its signature and the provenance's envelope beside the bundle, over those that are there.
    `number` is seconds since 1970 where it is not given: it goes up by itself, on whatever machine signs."""
    now = int(time.time())
    stated: dict[str, Any] = {
        "format": 1,
        "name": bundle.name,
        "manifest": f"sha256:{bundle.digest}",
        "number": now if number is None else number,
        "signed": signers.utc(now),
    }
    if days is not None:
        stated["expires"] = signers.utc(now + 86400 * days)
    text = canonical(stated).decode()
    armoured, provenance = key.armoured(text.encode()), beside(bundle.path, PROVENANCE)
    wrapped = envelope(_bounded(provenance), key) if provenance.is_file() else None
    for ending in (ENVELOPE, SIGNATURE):  # never a new statement under an old signature
        beside(bundle.path, ending).unlink(missing_ok=True)
    if wrapped is not None:
        write_text(str(beside(bundle.path, ENVELOPE)), json.dumps(wrapped) + "\n")
    write_text(str(beside(bundle.path, STATEMENT)), text)
    write_text(str(beside(bundle.path, SIGNATURE)), armoured)
    found = signed_beside(bundle)
    assert found is not None
    return found


@dataclass(frozen=True)
class Vouched(Record):
    """What was signed last for a target."""

    digest: str
    number: int


def vouch(bundle: Bundle, config: SignConfig, base: Path, last: Vouched | None = None) -> Signed | None:
    """The bundle signed as the configuration says; None where it names no key. A signature that already says the same
    is kept, so that the same release keeps its number; a release that comes back after another one (`last`) is given a
    greater number, or devices would take it for an old one sent again."""
    if config.key is None:
        return None
    key = load_key((base / Path(config.key).expanduser()).absolute())
    kept = signed_beside(bundle)
    came_back = last is not None and last.digest != bundle.digest and config.number is None
    same_key = kept is not None and kept.key == signature.fingerprint(key.public)
    if kept is not None and same_key and not came_back and _says(kept, config):
        return kept
    number = config.number or max(int(time.time()), last.number + 1 if last else 0)
    return sign(bundle, key, number=number, days=config.days)


def signed_beside(bundle: Bundle) -> Signed | None:
    """The signature beside a bundle, read and not verified; None where there is none. InputError where it cannot be
    read, or is of another bundle."""
    statement, armour = beside(bundle.path, STATEMENT), beside(bundle.path, SIGNATURE)
    if not armour.is_file() or not statement.is_file():
        return None
    try:
        text, armoured = _bounded(statement).decode(), _bounded(armour).decode()
        made, stated = signature.read(armoured), trust.parse_statement(text)
    except ReleaseError as error:
        raise InputError(error.message, error.remedy) from None
    except ValueError as error:
        raise InputError(f"{armour} cannot be read: {error}.", "Sign the bundle again.") from None
    if stated.digest != bundle.digest:
        raise InputError(f"{statement} is about another bundle, {stated.digest[:12]}.", "Sign the bundle again.")
    return Signed(
        statement=text,
        signature=armoured,
        number=stated.number,
        signed=signers.utc(stated.signed),
        expires=signers.utc(stated.expires),
        key=signature.fingerprint(made.public),
    )


@dataclass(frozen=True)
class Verified(Record):
    """`by` is the signer's identity in the file of allowed signers, "" where no file was given: then only that the
    signature is by the key that it names was verified. `provenance` says whether its envelope was signed too."""

    signed: Signed
    by: str
    provenance: bool


def verify(bundle: Bundle, allowed: Path | None = None) -> Verified:
    """The bundle's signature and its provenance, verified as a device would that knows the time. InputError where the
    bundle is unsigned, the signature does not fit, or its signer is not in the file `allowed`, at this time."""
    listed = read_signers(allowed) if allowed is not None else ()
    signed = signed_beside(bundle)
    if signed is None:
        raise InputError(f"{bundle.path} is not signed.", "Sign it: `edgewright bundle sign`.")
    own = signers.Signer("", signature.read(signed.signature).public, None, None, None)
    known = listed or (own,)
    try:
        lines, public = trust.signers_of(known, signed.statement, signed.signature)
        stated, floor = trust.parse_statement(signed.statement), {"time": int(time.time())}
        late = [trust.out_of_time(line, stated, floor) for line in lines]
    except ReleaseError as error:
        raise InputError(error.message, error.remedy) from None
    if all(late):
        raise InputError(late[0][0], "Sign the bundle again with a key that is valid now.")
    by = lines[next(index for index, said in enumerate(late) if not said)].identity
    return Verified(signed, by, _provenance_holds(bundle, public))


def read_signers(path: Path) -> tuple[signers.Signer, ...]:
    """The signers in a file. InputError where it cannot be read or a device could not hold to it."""
    try:
        return signers.parse(_bounded(path).decode())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"{path} is no file of allowed signers: {reason}.",
            f'Its lines read: alice@example.org namespaces="{signers.NAMESPACE}" ssh-ed25519 AAAA…',
        ) from None


def envelope(payload: bytes, key: Key) -> dict[str, Any] | None:
    """A DSSE envelope (github.com/secure-systems-lab/dsse, v1.0) of an in-toto statement; None by a key that cannot."""
    raw = key.raw(pre_authentication(PAYLOAD_TYPE, payload))
    if raw is None:
        return None
    return {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": signature.fingerprint(key.public), "sig": base64.b64encode(raw).decode()}],
    }


def pre_authentication(kind: str, payload: bytes) -> bytes:
    """PAE of DSSE: the bytes that are signed."""
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)


def beside_json(bundle: Bundle, ending: str) -> dict[str, Any]:
    """A JSON object that lies beside the bundle; {} where there is none. Nobody has vouched for it yet."""
    try:
        found = json.loads(_bounded(beside(bundle.path, ending)))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _provenance_holds(bundle: Bundle, public: bytes) -> bool:
    """Whether there is an envelope. InputError where it does not verify or is about another bundle."""
    path = beside(bundle.path, ENVELOPE)
    if not path.is_file():
        return False
    try:
        found = json.loads(_bounded(path))
        payload = base64.b64decode(found["payload"], validate=True)
        signatures = [base64.b64decode(entry["sig"], validate=True) for entry in found["signatures"][:8]]
        message = pre_authentication(str(found["payloadType"]), payload)
        subject = json.loads(payload)["subject"][0]["digest"]["sha256"]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        raise InputError(f"{path} is no DSSE envelope.", "Sign the bundle again.") from None
    if subject != bundle.digest or not any(ed25519.verify(public, message, raw) for raw in signatures):
        raise InputError(f"{path} is not by the signer of this bundle.", "Sign the bundle again.")
    return True


def _says(kept: Signed, config: SignConfig) -> bool:
    fits = config.number is None or kept.number == config.number
    lasts = kept.expires > signers.utc(int(time.time())) if kept.expires else config.days is None
    return fits and lasts


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(BESIDE_LIMIT + 1)
    if len(data) > BESIDE_LIMIT:
        raise ValueError("it is too large")
    return data
