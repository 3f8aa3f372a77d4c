"""How one host is connected to: ciphers, and hosts that are known, read once and again when the file was written."""

from __future__ import annotations

from pathlib import Path

import asyncssh
import pytest

from edgewright.transports.address import parse
from edgewright.transports.ssh.settings import knows, settings


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def _ciphers(address: str) -> list[bytes]:
    found = settings(parse(address)).options
    return list(asyncssh.SSHClientConnectionOptions(**found).encryption_algs)


def test_the_quick_ciphers_come_first_and_the_others_stay(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Host *\n  User me\n")
    found = _ciphers(f"ssh://board?config={tmp_path}/config")
    assert found[:2] == [b"aes128-gcm@openssh.com", b"aes256-gcm@openssh.com"]
    assert b"chacha20-poly1305@openssh.com" in found and len(set(found)) == len(found)


def test_what_ssh_config_says_of_ciphers_counts(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Host board\n  Ciphers chacha20-poly1305@openssh.com\n")
    assert _ciphers(f"ssh://board?config={tmp_path}/config") == [b"chacha20-poly1305@openssh.com"]


def test_known_hosts_are_read_again_once_the_file_was_written(tmp_path: Path) -> None:
    kind, key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().split()[:2]
    hosts = tmp_path / "hosts"
    hosts.write_text(f"one {kind} {key}\n")
    address = parse(f"ssh://one?known_hosts={hosts}")
    first, again = settings(address).trusted, settings(address).trusted
    assert first is again, "a fleet's devices share what was read"
    assert knows(first, "one", 22) and not knows(first, "two", 22)
    hosts.write_text(f"two {kind} {key}\n")
    found = settings(address).trusted
    assert knows(found, "two", 22) and not knows(found, "one", 22)
