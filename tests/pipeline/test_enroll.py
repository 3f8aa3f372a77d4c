"""First contact: nothing is trusted unasked, and a password leaves no trace."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from password_server import PASSWORD, PasswordServer
from sshd import Sshd

from edgewright import transports
from edgewright.core.errors import ConfigError, DeviceError, InputError
from edgewright.pipeline.enroll import Shown, enroll
from edgewright.store.cache import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path / "store"))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return Store(tmp_path / "store")


@pytest.fixture
def board(tmp_path: Path) -> Iterator[PasswordServer]:
    with PasswordServer(tmp_path / "board") as found:
        yield found


def _refuse() -> str | None:
    raise AssertionError("nobody should be asked for a password")


def test_a_password_is_asked_once_and_kept_nowhere(store: Store, board: PasswordServer, tmp_path: Path) -> None:
    shown: list[Shown] = []
    asked: list[int] = []

    def confirm(key: Shown) -> bool:
        shown.append(key)
        return True

    def ask() -> str:
        asked.append(1)
        return PASSWORD

    found = enroll(store, board.address, confirm=confirm, ask=ask)
    assert found.pinned and found.installed and found.machine and found.python
    assert shown[0].host_key == board.fingerprint == found.host_key and not shown[0].changed
    assert asked == [1] and board.tried == [PASSWORD]
    assert stat.S_IMODE(found.key.stat().st_mode) == 0o600
    for path in (p for p in tmp_path.rglob("*") if p.is_file()):
        assert PASSWORD.encode() not in path.read_bytes(), path
    again = enroll(store, board.address, confirm=lambda _: False, ask=_refuse)
    assert not again.pinned and not again.installed

    async def story() -> str:
        link = await transports.get("ssh").open(board.address)
        try:
            return (await link.run(["echo", "in"])).stdout
        finally:
            await link.close()

    assert asyncio.run(story()) == "in\n"
    lines = (board.home / ".ssh" / "authorized_keys").read_text().splitlines()
    assert len(lines) == 1 and stat.S_IMODE((board.home / ".ssh").stat().st_mode) == 0o700


def test_a_host_key_that_is_not_trusted_changes_nothing(store: Store, board: PasswordServer) -> None:
    with pytest.raises(InputError, match="was not trusted"):
        enroll(store, board.address, confirm=lambda _: False, ask=_refuse)
    with pytest.raises(InputError, match="nobody can be asked") as told:
        enroll(store, board.address)
    assert f"--fingerprint {board.fingerprint}" in told.value.remedy
    with pytest.raises(DeviceError, match="not the one you gave"):
        enroll(store, board.address, fingerprint="SHA256:" + "A" * 43, ask=_refuse)
    assert not board.tried and not (store.root / "ssh").exists()


def test_a_wrong_password_is_told(store: Store, board: PasswordServer) -> None:
    with pytest.raises(DeviceError, match="refused the password"):
        enroll(store, board.address, fingerprint=board.fingerprint, ask=lambda: "guess")
    with pytest.raises(DeviceError, match="none of your keys"):
        enroll(store, board.address, fingerprint=board.fingerprint)


def test_a_device_set_up_anew_is_enrolled_again(store: Store, tmp_path: Path) -> None:
    device = Sshd(tmp_path / "device")
    address = f"{device.address}?identity={device.identity}"
    try:
        first = enroll(store, address, fingerprint=device.fingerprint())
        assert first.pinned and first.installed
        device.stop()
        device.new_host_key()
        device.start()
        shown: list[Shown] = []
        with pytest.raises(InputError):
            enroll(store, address, confirm=lambda key: bool(shown.append(key)))
        assert shown[0].changed and not shown[0].known
        second = enroll(store, address, fingerprint=device.fingerprint())
        assert second.pinned and not second.installed and second.host_key != first.host_key
        for scheme in ("ssh", "openssh"):  # what was pinned and installed holds for both
            asyncio.run(_hello(device.address.replace("ssh://", f"{scheme}://")))
    finally:
        device.stop()


async def _hello(address: str) -> None:
    link = await transports.get(address.partition("://")[0]).open(address)
    try:
        assert (await link.run(["echo", "in"])).stdout == "in\n"
    finally:
        await link.close()


def test_what_cannot_be_enrolled_is_told(store: Store) -> None:
    with pytest.raises(ConfigError, match="no address that can be enrolled"):
        enroll(store, "local")
