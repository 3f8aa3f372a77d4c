"""Ed25519 verification (RFC 8032, section 5.1) in integers: boards need not have a cryptographic library.

Verification handles nothing secret, so it need not take the same time for every input. Signing is not here.
"""

from __future__ import annotations

import hashlib
from typing import Optional, Tuple

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of the group that the base point generates (L in the RFC)."""
D = -121665 * pow(121666, PRIME - 2, PRIME) % PRIME
ROOT = pow(2, (PRIME - 1) // 4, PRIME)
"""A square root of -1."""

Point = Tuple[int, int, int, int]
"""Extended homogeneous coordinates (X, Y, Z, T) with x = X/Z, y = Y/Z, x·y = T/Z."""

NEUTRAL: Point = (0, 1, 1, 0)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) of `message` is by the key `public` (32 bytes). False for whatever is malformed:
    a number outside its range, bytes that are no point, or a key of small order, which any signature would fit."""
    if len(public) != 32 or len(signature) != 64:
        return False
    key = _decoded(public)
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or scalar >= ORDER or _is_neutral(_times(8, key)):
        return False
    hashed = hashlib.sha512(signature[:32] + public + message).digest()
    challenge = int.from_bytes(hashed, "little") % ORDER
    # S·B = R + k·A, asked as: is S·B − k·A encoded as R is?
    return _encoded(_sum_of_two(scalar, BASE, challenge, _negated(key))) == signature[:32]


def _added(a: Point, b: Point) -> Point:
    """Section 5.1.4; complete: it holds for equal points and for the neutral one as well."""
    one = (a[1] - a[0]) * (b[1] - b[0]) % PRIME
    two = (a[1] + a[0]) * (b[1] + b[0]) % PRIME
    three = 2 * D * a[3] * b[3] % PRIME
    four = 2 * a[2] * b[2] % PRIME
    e, f, g, h = two - one, four - three, four + three, two + one
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def _negated(a: Point) -> Point:
    return PRIME - a[0], a[1], a[2], PRIME - a[3]


def _times(factor: int, point: Point) -> Point:
    return _sum_of_two(factor, point, 0, NEUTRAL)


def _sum_of_two(m: int, a: Point, n: int, b: Point) -> Point:
    """m·a + n·b, both doubled together."""
    both, total = _added(a, b), NEUTRAL
    for bit in range(max(m.bit_length(), n.bit_length()) - 1, -1, -1):
        total = _added(total, total)
        ours, theirs = m >> bit & 1, n >> bit & 1
        if ours or theirs:
            total = _added(total, both if ours and theirs else a if ours else b)
    return total


def _is_neutral(a: Point) -> bool:
    return a[0] % PRIME == 0 and (a[1] - a[2]) % PRIME == 0


def _encoded(a: Point) -> bytes:
    """Section 5.1.2: y in 255 bits, and the lowest bit of x above it."""
    inverse = pow(a[2], PRIME - 2, PRIME)
    x, y = a[0] * inverse % PRIME, a[1] * inverse % PRIME
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _decoded(data: bytes) -> Optional[Point]:
    """Section 5.1.3; None where the bytes are no point of the curve, or not in the one form it has."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (1 << 255) - 1
    if y >= PRIME:
        return None
    x = _x_of(y, sign)
    return None if x is None else (x, y, 1, x * y % PRIME)


def _x_of(y: int, sign: int) -> Optional[int]:
    u, v = (y * y - 1) % PRIME, (D * y * y + 1) % PRIME
    # The candidate root (u/v)^((p+3)/8), without a division.
    x = u * v**3 * pow(u * v**7, (PRIME - 5) // 8, PRIME) % PRIME
    if v * x * x % PRIME == -u % PRIME:
        x = x * ROOT % PRIME
    if v * x * x % PRIME != u or (x == 0 and sign):
        return None
    return PRIME - x if x & 1 != sign else x


def _base() -> Point:
    """The point with y = 4/5 and an even x."""
    y = 4 * pow(5, PRIME - 2, PRIME) % PRIME
    x = _x_of(y, 0)
    assert x is not None
    return x, y, 1, x * y % PRIME


BASE = _base()
