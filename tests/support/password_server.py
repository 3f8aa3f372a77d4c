"""An SSH server in a thread that lets a user in by a password, and by the keys of a home's authorized_keys: what a
board is before anybody enrolled it. Programs run here, in the home that is given."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from pathlib import Path
from typing import Any

import asyncssh

USER, PASSWORD = "pi", "raspberry pi"


class PasswordServer:
    def __init__(self, home: Path) -> None:
        self.home, self.port, self.logins = home, 0, 0
        self.tried: list[str] = []
        home.mkdir()
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self.fingerprint = self._key.get_fingerprint()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def address(self) -> str:
        return f"ssh://{USER}@127.0.0.1:{self.port}"

    def __enter__(self) -> PasswordServer:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncssh.create_server(
            lambda: _Login(self), "127.0.0.1", 0, server_host_keys=[self._key], process_factory=self._run,
            sftp_factory=True, encoding=None,
        )  # fmt: skip
        self.port = server.get_port()
        self._ready.set()
        await self._stop.wait()
        server.close()

    async def _run(self, process: Any) -> None:
        env = {**os.environ, "HOME": str(self.home)}
        child = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", process.command, env=env, cwd=self.home,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        feeding = asyncio.create_task(_pump(process.stdin, child.stdin, end=True))
        await asyncio.gather(_pump(child.stdout, process.stdout), _pump(child.stderr, process.stderr))
        status = await child.wait()
        feeding.cancel()
        process.exit(status)


async def _pump(reader: Any, writer: Any, end: bool = False) -> None:
    with contextlib.suppress(OSError, asyncssh.Error):  # the other side may have gone
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        if end:
            writer.close()


class _Login(asyncssh.SSHServer):
    def __init__(self, server: PasswordServer) -> None:
        self._server = server

    def connection_made(self, conn: Any) -> None:
        self._connection = conn

    def begin_auth(self, username: str) -> bool:
        keys = self._server.home / ".ssh" / "authorized_keys"
        if keys.is_file():
            self._connection.set_authorized_keys(str(keys))
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        self._server.tried.append(password)
        return (username, password) == (USER, PASSWORD)
