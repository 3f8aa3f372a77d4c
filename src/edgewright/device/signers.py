"""Who may sign: the allowed_signers file of OpenSSH (ssh-keygen(1), ALLOWED SIGNERS), for Ed25519 keys.

    alice@example.org namespaces="edgewright-release",valid-before="20270101Z" ssh-ed25519 AAAA… a comment

Keys are rotated by two lines whose times overlap. Times are UTC with or without the Z: boards have no reliable zone.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import re
import time
from typing import Dict, List, NamedTuple, Optional, Tuple

from edgewright.device import signature

NAMESPACE = "edgewright-release"
"""What a signature must have been made for, so that one for mail or git is none for a release."""
LIMIT = 256 << 10
SIGNERS_LIMIT = 1000


class BadSigners(ValueError):
    """A file that is no list of signers we can hold to: one clause that names the line."""


class Signer(NamedTuple):
    """One line. `after` and `before` are seconds since 1970, None where the line has no such limit."""

    identity: str
    public: bytes
    namespaces: Optional[str]
    after: Optional[int]
    before: Optional[int]

    def serves(self, namespace: str) -> bool:
        return self.namespaces is None or _matches(self.namespaces, namespace)


def parse(text: str) -> Tuple[Signer, ...]:
    """The signers of a file. BadSigners for a line that is not understood, and for a file without any: what is
    skipped in silence would be a signer who is locked out, or a limit that is not kept."""
    if len(text) > LIMIT:
        raise BadSigners("it is over %d KiB" % (LIMIT >> 10))
    found: List[Signer] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            found.append(_signer(line.strip()))
        except ValueError as error:
            raise BadSigners("line %d: %s" % (number, error)) from None
    if not 0 < len(found) <= SIGNERS_LIMIT:
        raise BadSigners("it names no signer, or over %d" % SIGNERS_LIMIT)
    return tuple(found)


def utc(seconds: Optional[int]) -> str:
    """`2026-11-22T10:00:00Z`; "" for None."""
    return "" if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _signer(line: str) -> Signer:
    words = _words(line)
    if len(words) < 3:
        raise ValueError("a line is: identity, options, key type, key")
    identity, rest = words[0].strip('"'), words[1:]
    options: Dict[str, str] = {}
    if not _is_key_type(rest[0]):
        options, rest = _options(rest[0]), rest[1:]
    if len(rest) < 2 or rest[0] != signature.KEY_TYPE:
        kind = rest[0] if rest else "missing"
        raise ValueError("the key is %.40s; a device verifies %s alone" % (kind, signature.KEY_TYPE))
    try:
        public = signature.key_of(base64.b64decode(rest[1].encode("ascii"), validate=True))
    except (binascii.Error, UnicodeEncodeError, signature.BadSignature):
        raise ValueError("the key is damaged") from None
    after, before = _moment(options.get("valid-after")), _moment(options.get("valid-before"))
    return Signer(identity, public, options.get("namespaces"), after, before)


def _is_key_type(word: str) -> bool:
    return re.match(r"(ssh-|ecdsa-|sk-|rsa-)[a-z0-9@.-]+$", word) is not None


def _words(line: str) -> List[str]:
    """Separated by blanks that stand outside double quotes."""
    if line.count('"') % 2:
        raise ValueError("a quote is not closed")
    return re.findall(r'(?:[^\s"]|"[^"]*")+', line)


def _options(word: str) -> Dict[str, str]:
    found: Dict[str, str] = {}
    for part in re.findall(r'(?:[^,"]|"[^"]*")+', word):
        name, _, value = part.partition("=")
        name = name.lower()
        if name not in ("namespaces", "valid-after", "valid-before"):
            raise ValueError("the option %.40r is not understood" % name)
        if name in found or not re.match(r'"[^"]+"$', value):
            raise ValueError('%s must be given once, as %s="…"' % (name, name))
        found[name] = value[1:-1]
    return found


def _moment(text: Optional[str]) -> Optional[int]:
    """YYYYMMDD[HHMM[SS]][Z] in seconds since 1970."""
    if text is None:
        return None
    digits = text[:-1] if text.endswith(("Z", "z")) else text
    forms = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
    try:
        if not digits.isdigit():
            raise ValueError
        return calendar.timegm(time.strptime(digits, forms[len(digits)]))
    except (KeyError, ValueError):
        raise ValueError("%.40r is no time of the form YYYYMMDD[HHMM[SS]]Z" % text) from None


def _matches(patterns: str, text: str) -> bool:
    """PATTERNS of ssh_config(5): `*`, `?`, commas, and `!` in front of what is excepted."""
    found = False
    for pattern in patterns.split(","):
        wanted = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern.lstrip("!"))
        if re.match(wanted + r"\Z", text):
            if pattern.startswith("!"):
                return False
            found = True
    return found
