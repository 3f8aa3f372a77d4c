"""Who is let in and who is believed: host keys, user keys, certificates, agents, jump hosts, ssh_config."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sshd import Sshd, make_key

from edgewright import transports
from edgewright.core.errors import ConfigError, DeviceError
from edgewright.transports import known_hosts


def hello(address: str, root: Path) -> str:
    """What `echo hello` says on the device of that address."""

    async def story() -> str:
        link = await transports.get(address.partition("://")[0]).open(address, root=str(root))
        try:
            await link.put(Path(__file__), "file")
            return (await link.run(["echo", "hello"])).stdout
        finally:
            await link.close()

    return asyncio.run(story())


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Sshd]:
    """A server that the test may change."""
    found = Sshd(tmp_path / "own")
    yield found
    found.stop()


def test_an_unknown_host_is_refused_with_its_fingerprint(own: Sshd, scheme: str, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="is not known here") as told:
        hello(own.reach(scheme, known_hosts=""), tmp_path / "root")
    assert "edgewright enroll" in told.value.remedy and own.address.partition("://")[2] in told.value.remedy
    if scheme == "ssh":  # the system's ssh says no fingerprint at this log level
        assert own.fingerprint() in told.value.message
    assert not (tmp_path / "root").exists()


def test_a_changed_host_key_is_refused(own: Sshd, scheme: str, tmp_path: Path) -> None:
    assert hello(own.reach(scheme), tmp_path / "root") == "hello\n"
    own.stop()
    own.new_host_key()
    own.start()
    with pytest.raises(DeviceError, match="not the one that is known") as told:
        hello(own.reach(scheme), tmp_path / "root")
    assert own.fingerprint() in told.value.message
    assert "edgewright enroll" in told.value.remedy


def test_a_revoked_host_key_is_refused(own: Sshd, scheme: str, tmp_path: Path) -> None:
    line = own.known_hosts.read_text()
    own.known_hosts.write_text(line + "@revoked * " + line.split(" ", 1)[1])
    with pytest.raises(DeviceError, match=r"revoked|not known|known here"):
        hello(own.reach(scheme), tmp_path / "root")


def test_a_key_that_the_device_does_not_know_is_refused(own: Sshd, scheme: str, tmp_path: Path) -> None:
    make_key(tmp_path / "stranger")
    with pytest.raises(DeviceError, match="refused the login") as told:
        hello(own.reach(scheme, identity=str(tmp_path / "stranger")), tmp_path / "root")
    assert "edgewright enroll" in told.value.remedy


def test_nobody_listens(scheme: str, own: Sshd, tmp_path: Path) -> None:
    own.stop()
    with pytest.raises(DeviceError, match="cannot be reached"):
        hello(own.reach(scheme), tmp_path / "root")


def test_a_pinned_key_and_our_own_key_let_one_in(own: Sshd, scheme: str, tmp_path: Path) -> None:
    """What enrolment leaves behind is enough for a plain address."""
    kind, key = own.known_hosts.read_text().split()[1:3]
    known_hosts.pin("127.0.0.1", own.port, f"{kind} {key}")
    shutil.copy(own.identity, known_hosts.own_key())
    address = own.address.replace("ssh://", f"{scheme}://")
    assert hello(address, tmp_path / "root") == "hello\n"


def test_pins_are_replaced_one_by_one(tmp_path: Path) -> None:
    known_hosts.pin("board", 22, "ssh-ed25519 AAAA1")
    known_hosts.pin("board", 2222, "ssh-ed25519 AAAA2")
    place = known_hosts.pin("board", 22, "ssh-ed25519 AAAA3")
    assert place.read_text() == "[board]:2222 ssh-ed25519 AAAA2\nboard ssh-ed25519 AAAA3\n"


def test_an_alias_of_ssh_config_is_followed(own: Sshd, scheme: str, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"Host Board\n  HostName 127.0.0.1\n  Port {own.port}\n  User {own.user}\n"
        f"  IdentityFile {own.identity}\n  UserKnownHostsFile {own.known_hosts}\n"
    )
    assert hello(f"{scheme}://Board?config={config}", tmp_path / "root") == "hello\n"


def test_a_configuration_that_trusts_everybody_is_not_obeyed(own: Sshd, scheme: str, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(f"Host *\n  IdentityFile {own.identity}\n  StrictHostKeyChecking no\n  UserKnownHostsFile none\n")
    address = f"{scheme}://{own.user}@127.0.0.1:{own.port}?config={config}"
    with pytest.raises(DeviceError, match="is not known here"):
        hello(address, tmp_path / "root")


def test_a_broken_configuration_is_named(own: Sshd, scheme: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Host *\n  Port nothing\n")
    with pytest.raises(ConfigError, match=r"configuration|ssh_config"):
        hello(f"{scheme}://127.0.0.1?config={tmp_path / 'config'}", tmp_path / "root")


def test_an_agent_lets_one_in(own: Sshd, scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert agent.poll() is None
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        subprocess.run(["ssh-add", "-q", str(own.identity)], check=True)
        assert hello(own.reach(scheme, identity=""), tmp_path / "root") == "hello\n"
    finally:
        os.kill(agent.pid, signal.SIGTERM)
        agent.wait()


def test_certificates_on_both_sides(tmp_path: Path, scheme: str) -> None:
    """A host and a user that a certificate authority vouches for, and nothing else that is known."""
    for name in ("authority", "user"):
        make_key(tmp_path / name)
    device = Sshd(
        tmp_path / "device",
        options=f"TrustedUserCAKeys {tmp_path}/authority.pub\nHostCertificate {tmp_path}/device/host_key-cert.pub",
    )
    try:
        device.stop()
        sign = ["ssh-keygen", "-q", "-s", str(tmp_path / "authority"), "-I", "test"]
        subprocess.run([*sign, "-n", device.user, str(tmp_path / "user.pub")], check=True, capture_output=True)
        host = str(device.folder / "host_key.pub")
        subprocess.run([*sign, "-h", "-n", "127.0.0.1", host], check=True, capture_output=True)
        device.authorized_keys.write_text("")
        device.start()
        known = tmp_path / "known"
        known.write_text(f"@cert-authority [127.0.0.1]:{device.port} {(tmp_path / 'authority.pub').read_text()}")
        address = device.reach(scheme, identity=str(tmp_path / "user"), known_hosts=str(known))
        assert hello(address, tmp_path / "root") == "hello\n"
        make_key(tmp_path / "other")
        known.write_text(f"@cert-authority [127.0.0.1]:{device.port} {(tmp_path / 'other.pub').read_text()}")
        with pytest.raises(DeviceError):
            hello(address, tmp_path / "root")
    finally:
        device.stop()


@pytest.mark.parametrize("how", ["option", "config"])
def test_a_jump_host_is_passed_and_checked(own: Sshd, device: Sshd, scheme: str, tmp_path: Path, how: str) -> None:
    """The device is reached through another server; the key of that one is checked as well."""
    own.authorized_keys.write_text(own.authorized_keys.read_text() + device.identity.with_suffix(".pub").read_text())
    known = tmp_path / "known"
    known.write_text(device.known_hosts.read_text() + own.known_hosts.read_text())
    hop = f"{own.user}@127.0.0.1:{own.port}"
    config = tmp_path / "config"
    if how == "config":
        config.write_text(
            f"Host board\n  HostName 127.0.0.1\n  Port {device.port}\n  User {device.user}\n  ProxyJump {hop}\n"
            f"Host *\n  IdentityFile {device.identity}\n"
        )
        address = f"{scheme}://board?config={config}&known_hosts={known}"
    else:
        address = device.reach(scheme, known_hosts=str(known), jump=hop)
    before = own.log.read_text().count("Accepted publickey")
    assert hello(address, tmp_path / "root") == "hello\n"
    assert own.log.read_text().count("Accepted publickey") > before
    known.write_text(device.known_hosts.read_text())
    with pytest.raises(DeviceError, match=rf"127\.0\.0\.1:{own.port}.*not known here"):
        hello(address, tmp_path / "root2")


def test_without_the_package_the_way_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    with pytest.raises(ConfigError, match="asyncssh") as told:
        hello("ssh://board", tmp_path)
    assert "edgewright[ssh]" in told.value.remedy and "openssh://" in told.value.remedy


def test_without_the_program_the_way_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="no ssh on this machine") as told:
        hello("openssh://board", tmp_path)
    assert "ssh://" in told.value.remedy
