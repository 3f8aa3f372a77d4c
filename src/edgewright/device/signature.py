"""SSHSIG: the signatures of `ssh-keygen -Y sign`, read and verified with the standard library alone.

Format: PROTOCOL.sshsig of OpenSSH. Only ssh-ed25519 keys are understood: they are what releases are signed with.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from typing import List, NamedTuple, Tuple

from edgewright.device import ed25519

MAGIC = b"SSHSIG"
VERSION = 1
KEY_TYPE = "ssh-ed25519"
BEGIN, END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
LIMIT = 8 << 10
"""Characters of an armoured signature; one of Ed25519 has about 300."""
HASHES = ("sha256", "sha512")


class BadSignature(ValueError):
    """What is not a signature that we understand: one clause that says why."""


class Signature(NamedTuple):
    """`public` is the 32 bytes of the key that it claims, `raw` the 64 bytes of Ed25519."""

    public: bytes
    namespace: str
    hash: str
    raw: bytes


def read(armoured: str) -> Signature:
    """The signature in an armoured text. BadSignature for anything else; that it verifies is not said yet."""
    if not isinstance(armoured, str) or len(armoured) > LIMIT:
        raise BadSignature("it is not a text of at most %d characters" % LIMIT)
    lines = [line.strip() for line in armoured.strip().splitlines()]
    if len(lines) < 3 or lines[0] != BEGIN or lines[-1] != END:
        raise BadSignature("it does not begin and end as an SSH signature does")
    try:
        blob = base64.b64decode("".join(lines[1:-1]).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise BadSignature("it is not base64") from None
    if blob[:6] != MAGIC or blob[6:10] != struct.pack(">I", VERSION):
        raise BadSignature("it is of another version")
    public, namespace, _, name, signature = _strings(blob[10:], 5)
    if name.decode("ascii", "replace") not in HASHES:
        raise BadSignature("its hash is neither of %s" % ", ".join(HASHES))
    return Signature(key_of(public), namespace.decode("utf-8", "replace"), name.decode(), _typed(signature, 64))


def verifies(signature: Signature, message: bytes) -> bool:
    """Whether the signature is by its key, over this message in its namespace."""
    return ed25519.verify(signature.public, signed_data(message, signature.namespace, signature.hash), signature.raw)


def signed_data(message: bytes, namespace: str, hash_name: str = "sha512") -> bytes:
    """The bytes that the key really signs."""
    hashed = hashlib.new(hash_name, message).digest()
    return MAGIC + b"".join(packed(part) for part in (namespace.encode(), b"", hash_name.encode(), hashed))


def armoured(public: bytes, namespace: str, raw: bytes, hash_name: str = "sha512") -> str:
    """The text of a signature, as `ssh-keygen -Y sign` writes it."""
    key, signature = key_blob(public), packed(KEY_TYPE.encode()) + packed(raw)
    parts = (key, namespace.encode(), b"", hash_name.encode(), signature)
    text = base64.b64encode(MAGIC + struct.pack(">I", VERSION) + b"".join(map(packed, parts))).decode()
    return "\n".join([BEGIN, *(text[at : at + 70] for at in range(0, len(text), 70)), END]) + "\n"


def key_blob(public: bytes) -> bytes:
    """A public key in the wire format of SSH (RFC 8709)."""
    return packed(KEY_TYPE.encode()) + packed(public)


def key_of(blob: bytes) -> bytes:
    """The 32 bytes of the Ed25519 key in its wire format. BadSignature for a key of another type."""
    return _typed(blob, 32)


def fingerprint(public: bytes) -> str:
    """As `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key_blob(public)).digest()).decode().rstrip("=")


def packed(data: bytes) -> bytes:
    """A string of RFC 4251: its length in four bytes, then itself."""
    return struct.pack(">I", len(data)) + data


def _typed(blob: bytes, size: int) -> bytes:
    kind, rest = _string(blob)
    if kind != KEY_TYPE.encode():
        raise BadSignature("its key is %s, not %s" % (kind[:60].decode("ascii", "replace"), KEY_TYPE))
    (data,) = _strings(rest, 1)
    if len(data) != size:
        raise BadSignature("it has %d bytes where %d belong" % (len(data), size))
    return data


def _strings(data: bytes, count: int) -> List[bytes]:
    """Exactly `count` strings and nothing behind them."""
    found: List[bytes] = []
    for _ in range(count):
        one, data = _string(data)
        found.append(one)
    if data:
        raise BadSignature("something follows it")
    return found


def _string(data: bytes) -> Tuple[bytes, bytes]:
    """The first string, and what is behind it."""
    length = struct.unpack(">I", data[:4])[0] if len(data) >= 4 else -1
    if not 0 <= length <= len(data) - 4:
        raise BadSignature("it is cut off")
    return data[4 : 4 + length], data[4 + length :]
