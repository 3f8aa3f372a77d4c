"""A real OpenSSH server on a loopback port, run by whoever runs the tests, with a home of its own: a device.

Debian's sshd puts what `SetEnv` says after its own variables, so programs see this instance's HOME although
the account is ours. Nothing is read from the account's own ~/.ssh.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

SERVER = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
SFTP_SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server")
PATIENCE_S = 20.0


def need_sshd() -> None:
    if SERVER is None:
        pytest.skip("no sshd here: run sh tools/system-packages.sh (Debian: apt install openssh-server)")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(parents=True, exist_ok=True)  # root's server insists on it


class Sshd:
    """`address` is what a user would write; `known_hosts` and `identity` are files that let one in. `options` are
    more lines of sshd_config. `variables` are set for every program beside HOME and PATH."""

    def __init__(
        self,
        folder: Path,
        *,
        options: str = "",
        variables: dict[str, str] | None = None,
        python: str | None = sys.executable,
        port: int = 0,
    ) -> None:
        need_sshd()
        self.folder, self.home = folder, folder / "home"
        self.user = getpass.getuser()
        self.port = port or _free_port()
        self.identity, self.known_hosts = folder / "identity", folder / "known_hosts"
        self.authorized_keys, self.log = self.home / ".ssh" / "authorized_keys", folder / "sshd.log"
        self._host_key = folder / "host_key"
        self._options, self._process = options, None
        self._variables = {"HOME": str(self.home), "PATH": os.environ.get("PATH", ""), **(variables or {})}
        self.home.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        if python is not None:
            self._put_python_first(python)
        if not self.identity.is_file():
            make_key(self.identity)
            self.authorized_keys.parent.mkdir(mode=0o700)
            self.authorized_keys.write_bytes(self.identity.with_suffix(".pub").read_bytes())
            self.new_host_key()
        self.start()

    @property
    def address(self) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}"

    def reach(self, scheme: str = "ssh", port: int = 0, **options: str) -> str:
        """The address with the key and the known_hosts that let one in; `port` where a proxy stands before it."""
        given = {"identity": str(self.identity), "known_hosts": str(self.known_hosts), **options}
        place = self.address.replace("ssh://", f"{scheme}://").replace(f":{self.port}", f":{port or self.port}")
        return place + "?" + "&".join(f"{key}={value}" for key, value in given.items() if value)

    def start(self) -> None:
        config = self.folder / "sshd_config"
        config.write_text(self._config())
        assert SERVER is not None
        self._process = subprocess.Popen(
            [SERVER, "-D", "-f", str(config), "-E", str(self.log)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + PATIENCE_S
        while not _listens(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"sshd does not start: {self.log.read_text() if self.log.exists() else ''}")
            time.sleep(0.02)

    def new_host_key(self) -> None:
        """A device that was set up anew. `known_hosts` keeps the first key; see `trust`."""
        for path in (self._host_key, self._host_key.with_suffix(".pub")):
            path.unlink(missing_ok=True)
        make_key(self._host_key)
        if not self.known_hosts.exists():
            self.trust(self.port)

    def trust(self, *ports: int) -> None:
        """Lets `known_hosts` know the present host key under these ports."""
        kind, key = self._host_key.with_suffix(".pub").read_text().split()[:2]
        with self.known_hosts.open("a") as out:
            out.writelines(f"[127.0.0.1]:{port} {kind} {key}\n" for port in ports)

    def fingerprint(self) -> str:
        """SHA256:… of the present host key, as ssh-keygen says it."""
        told = subprocess.run(
            ["ssh-keygen", "-lf", str(self._host_key) + ".pub"], capture_output=True, text=True, check=True
        )
        return told.stdout.split()[1]

    def sessions(self) -> list[int]:
        """Servers of connections that are open now."""
        return _descendants(self._process.pid) if self._process else []

    def cut(self) -> None:
        """Kills every connection, and lets the listener live."""
        for pid in self.sessions():
            _kill(pid, signal.SIGKILL)

    def kill(self) -> None:
        """The whole server at once, as if the power had gone; programs of the device live on."""
        self.cut()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        self.kill()

    def _config(self) -> str:
        sftp = next((path for path in SFTP_SERVERS if Path(path).exists()), "internal-sftp")
        variables = " ".join(f'"{name}={value}"' for name, value in self._variables.items())
        return (
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {self._host_key}\nPidFile none\n"
            f"AuthorizedKeysFile {self.authorized_keys}\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
            f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nPrintMotd no\nUseDNS no\n"
            f"Subsystem sftp {sftp}\nSetEnv {variables}\n{self._options}\n"
        )

    def _put_python_first(self, python: str) -> None:
        """`python3` of the device is the interpreter that has what services need."""
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        script = folder / "python3"
        script.write_text(f'#!/bin/sh\nexec {python} "$@"\n')
        script.chmod(0o755)
        self._variables["PATH"] = f"{folder}:{self._variables['PATH']}"


def make_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)], check=True)


def _descendants(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,comm="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    found, level = [], {pid}
    while level:
        level = {int(row[0]) for row in rows if int(row[1]) in level and "sshd" in row[2]}
        found += level
    return found


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
