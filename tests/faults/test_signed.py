"""Releases that are replayed, expired, signed by the wrong key, put together from two, or signed by a rotated key."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from board import Board
from faulty import Answer, Installer, assert_one_whole_release, hand_over, request

from edgewright.core.record import canonical
from edgewright.device import signers, trust
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.release_key import load_key

pytestmark = pytest.mark.slow
DAY, NOW = 86400, int(time.time())


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("old", "new", "stranger"):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
        subprocess.run(make, check=True)
    return folder


def line(keys: Path, name: str, option: str = "") -> str:
    """A line of allowed_signers."""
    options = f'namespaces="{signers.NAMESPACE}"{option}'
    return f"{name}@example.org {options} {' '.join((keys / f'{name}.pub').read_text().split()[:2])}\n"


def until(at: int) -> str:
    return f',valid-before="{time.strftime("%Y%m%d%H%M%SZ", time.gmtime(at))}"'


def signed(bundle: Bundle, keys: Path, number: int, *, by: str = "new", at: int = NOW, **more: Any) -> dict[str, str]:
    said = {"format": 1, "manifest": f"sha256:{bundle.digest}", "number": number, "signed": signers.utc(at), **more}
    text = canonical(said).decode()
    return {"statement": text, "signature": load_key(keys / by).armoured(text.encode())}


def put(board: Board, bundle: Bundle, release: dict[str, str] | None) -> Answer:
    hand_over(board, bundle)
    return Installer(board, "install", {**request(bundle), "release": release}).answer()


@pytest.fixture(scope="module")
def guarded(old_board: Board, keys: Path) -> Board:
    """A device that knows one signer and serves her release number 5, after her number 3."""
    old_board.layout.make()
    trust.enrol(old_board.layout, line(keys, "new"))
    for number, score in ((3, 0.3), (5, 0.5)):
        bundle = old_board.bundle(score=score)
        answer = put(old_board, bundle, signed(bundle, keys, number))
        assert answer.code == 0, answer
    return old_board


def altered(release: dict[str, str], part: str) -> dict[str, str]:
    """One bit of the statement or of the signature is another."""
    text = release[part]
    at = len(text) // 2
    while not (text[at].isalnum() and chr(ord(text[at]) ^ 1).isalnum()):
        at += 1
    return {**release, part: text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]}


def released(board: Board, keys: Path, fault: str) -> tuple[Bundle, dict[str, str] | None]:
    new, older = board.bundle(score=0.4), board.bundle(score=0.3)
    return {
        "replayed": (older, signed(older, keys, 3)),
        "unsigned": (new, None),
        "stranger": (new, signed(new, keys, 9, by="stranger")),
        "expired": (new, signed(new, keys, 9, at=NOW - 9 * DAY, expires=signers.utc(NOW - DAY))),
        "mixed": (new, signed(older, keys, 9)),
        "statement": (new, altered(signed(new, keys, 9), "statement")),
        "signature": (new, altered(signed(new, keys, 9), "signature")),
    }[fault]  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param(fault, said, marks=pytest.mark.fault(name, outcome=f"refused; the old release serves on: {why}"))
        for fault, said, name, why in (
            ("replayed", "has had 5", "F9 an old signed release is replayed", "the number has to go up"),
            ("unsigned", "not signed", "F9 a release without a signature", "the device takes signed ones alone"),
            ("stranger", "does not know", "F9 a release signed by the wrong key", "the device does not know the key"),
            ("expired", "expired", "F9 a signed release that has expired", "by the newest signed time it has seen"),
            ("mixed", "another release", "F9 the signature of one release with the files of another", "mix-and-match"),
            ("statement", "", "F8 a bit flips in what was signed", "the signature does not fit"),
            ("signature", "", "F8 a bit flips in the signature", "the signature does not fit"),
        )
    ],
)
def test_refused(guarded: Board, keys: Path, fault: str, said: str) -> None:
    serves, before = guarded.bundle(score=0.5), guarded.names()
    answer = put(guarded, *released(guarded, keys, fault))
    assert answer.code == 3 and said in answer.message and answer.said["error"]["kind"] == "rejected", answer
    assert_one_whole_release(guarded, serves)
    assert guarded.names() == before


@pytest.mark.fault(
    "F9 a release signed by a key that was rotated out",
    outcome="refused; one by the key that came in goes live, and so did one by either while both were valid",
)
def test_a_rotated_key(guarded: Board, keys: Path) -> None:
    layout, newer = guarded.layout, guarded.bundle(score=0.45)
    trust.enrol(layout, line(keys, "new", until(NOW + DAY)) + line(keys, "old"))
    assert put(guarded, newer, signed(newer, keys, 6, by="old")).code == 0
    trust.enrol(layout, line(keys, "old"))
    bundle = guarded.bundle(score=0.35)
    answer = put(guarded, bundle, signed(bundle, keys, 7))
    assert answer.code == 3 and "does not know" in answer.message
    assert_one_whole_release(guarded, newer)
    assert put(guarded, bundle, signed(bundle, keys, 7, by="old")).code == 0
    assert_one_whole_release(guarded, bundle)
