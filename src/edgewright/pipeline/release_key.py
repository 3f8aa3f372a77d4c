"""Release keys: Ed25519 in OpenSSH format, used by ourselves or, where they lie in an agent, by ssh-keygen."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any, Protocol

from edgewright.core.errors import InputError
from edgewright.device import ed25519, signature, signers

KEY_LIMIT = 64 << 10
MAKE_KEY = "Make one with `ssh-keygen -t ed25519 -N '' -f release-key`."


class Key(Protocol):
    """What signs. `public` is the 32 bytes of an Ed25519 key."""

    public: bytes

    def armoured(self, message: bytes) -> str: ...  # SSHSIG over the message, for releases
    def raw(self, message: bytes) -> bytes | None: ...  # Ed25519 over its very bytes; None where the key cannot


class FileKey:
    """A private key that lies open in a file."""

    def __init__(self, private: Any) -> None:
        self._private = private
        self.public: bytes = private.public_key().public_bytes_raw()

    def armoured(self, message: bytes) -> str:
        raw = self.raw(signature.signed_data(message, signers.NAMESPACE))
        return signature.armoured(self.public, signers.NAMESPACE, raw)

    def raw(self, message: bytes) -> bytes:
        """64 bytes, checked with the device's own verification before anyone else sees them."""
        made = bytes(self._private.sign(message))
        if not ed25519.verify(self.public, message, made):
            raise RuntimeError("a signature just made does not verify")
        return made


class KeygenKey:
    """A key that `ssh-keygen` must use for us: one in an agent or on a token (its public file is named), or one with a
    passphrase, which is asked for at the terminal. It signs statements and no DSSE envelope: there is SSHSIG alone."""

    def __init__(self, path: Path, public: bytes) -> None:
        self._path, self.public = path, public

    def armoured(self, message: bytes) -> str:
        argv = ["ssh-keygen", "-Y", "sign", "-q", "-n", signers.NAMESPACE, "-f", str(self._path)]
        try:
            done = subprocess.run(argv, input=message, stdout=subprocess.PIPE, check=False)
        except FileNotFoundError:
            raise InputError("There is no ssh-keygen, which this key needs.", "Install OpenSSH.") from None
        text = done.stdout.decode("utf-8", "replace")
        if done.returncode or not signature.verifies(signature.read(text), message):
            raise InputError(f"ssh-keygen did not sign with {self._path}.", "Is the key in the agent (`ssh-add -L`)?")
        return text

    def raw(self, message: bytes) -> None:
        return None


def load_key(path: Path) -> Key:
    """The key in a file of OpenSSH, private or public. InputError where there is none, or it is of another type."""
    try:
        with path.open("rb") as file:
            data = file.read(KEY_LIMIT)
        if b"PRIVATE KEY" in data and path.stat().st_mode & 0o077:
            raise InputError(f"Others than its owner can read the key {path}.", f"chmod 600 {path}")
    except OSError as error:
        raise InputError(f"The key {path} cannot be read: {error.strerror}.", MAKE_KEY) from None
    if b"PRIVATE KEY" not in data:
        return KeygenKey(path, _public_of(path, data))
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_ssh_private_key
    except ImportError:
        raise InputError("Signing needs the package cryptography.", "pip install 'edgewright[sign]'") from None
    try:
        key = load_ssh_private_key(data, password=None)
    except TypeError:  # it has a passphrase; its public half lies beside it
        public = path.with_name(path.name + ".pub")
        if not public.is_file():
            raise InputError(f"The key {path} has a passphrase, and no {public.name} beside it.", MAKE_KEY) from None
        return KeygenKey(path, _public_of(public, public.read_bytes()[:KEY_LIMIT]))
    except (ValueError, UnsupportedAlgorithm):
        raise InputError(f"{path} is not a private key in OpenSSH format.", MAKE_KEY) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"{path} is not an Ed25519 key, which is what devices verify.", MAKE_KEY)
    return FileKey(key)


def _public_of(path: Path, data: bytes) -> bytes:
    try:
        kind, blob = data.decode("ascii").split()[:2]
        if kind != signature.KEY_TYPE:
            raise ValueError(kind)
        return signature.key_of(base64.b64decode(blob, validate=True))
    except ValueError:
        raise InputError(f"{path} is not an Ed25519 key in OpenSSH format.", MAKE_KEY) from None
