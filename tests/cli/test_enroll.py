"""edgewright enroll, as a command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sshd import Sshd
from work import Work


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    found = Sshd(tmp_path_factory.mktemp("device"))
    yield found
    found.stop()


@pytest.fixture
def work(tmp_path: Path) -> Work:
    found = Work(tmp_path / "work")
    found.env = {"HOME": str(tmp_path), "SSH_AUTH_SOCK": ""}
    return found


def test_without_a_terminal_the_fingerprint_must_be_given(work: Work, device: Sshd) -> None:
    ended = work.do("enroll", device.address, "--json")
    assert ended.code == 2
    error = ended.json()["error"]
    assert device.fingerprint() in error["message"] and "--fingerprint" in error["remedy"]


def test_an_enrolled_device_is_one_json_object_and_then_needs_no_options(work: Work, device: Sshd) -> None:
    address = f"{device.address}?identity={device.identity}"
    ended = work.do("enroll", address, "--fingerprint", device.fingerprint(), "--json")
    assert ended.code == 0, ended.err
    found = ended.json()
    assert found["host_key"] == device.fingerprint() and found["pinned"] and found["installed"]
    assert found["machine"] and found["root"] == str(device.home / ".edgewright")
    again = work.do("enroll", device.address)
    assert again.code == 0, again.err
    assert "is enrolled" in again.out and found["key"] in again.out


def test_another_fingerprint_ends_it(work: Work, device: Sshd) -> None:
    ended = work.do("enroll", device.address, "--fingerprint", "SHA256:" + "B" * 43)
    assert ended.code == 3 and "Do not connect" in ended.err
