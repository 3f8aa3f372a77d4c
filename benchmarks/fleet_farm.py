"""SIMULATED devices: asyncssh servers in one process, each on a port and in a folder of its own.

    python benchmarks/fleet_farm.py FOLDER COUNT DEAD SLOW RATE

One JSON line {"ports", "key", "dead", "slow"}, then one answer per line: "count" → {device: bytes that came up its
wires since last asked}. A dead device takes connections and never says a word; a slow one takes RATE bytes a second.

Files come by real SFTP. Programs are answered by this process under the contract of transports/relay_program.py: the
interpreter's questions, the unpacking of our programs, and the installer's `status`, `missing`, `patch`, `unpack`,
`lease` and `install`. `patch` and `unpack` are the device's own code and every blob's digest is checked; nothing is
started, replayed or switched.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

import asyncssh

from edgewright.device.delta import codecs
from edgewright.device.durable import sha256_of
from edgewright.device.patch import patch, unpack
from edgewright.device.release import Layout, parse_manifest

SLOW_PIECE = 2048
"""Bytes that a slow device takes at once."""


class Device:
    """What the installer would know, without what it would do."""

    def __init__(self, home: Path, pool: Path, rate: float = 0.0) -> None:
        self.home, self.pool, self.rate = home, pool, rate
        self.layout = Layout(str(home / ".edgewright"))
        self.layout.make()
        self.current: dict[str, Any] | None = None
        self.number = self.received = 0

    def run(self, argv: list[str], stdin: str) -> tuple[str, int]:
        """(stdout, exit status) of one of the programs that a deployment runs."""
        if "edgewright.device.install" in argv:
            answer = getattr(self, argv[-1])(json.loads(stdin or "{}"))
            return json.dumps(answer) + "\n", 0
        if "zipfile" in argv[-4]:
            archive, folder, digest = argv[-3:]
            if sha256_of(archive) != digest:
                return "", 1
            Path(folder).mkdir(parents=True)
            (Path(folder) / "complete").touch()
            Path(archive).unlink()
            return "", 0
        return sha256_of(argv[-1]) + "\n", 0

    def status(self, request: dict[str, Any]) -> dict[str, Any]:
        current = self.current or {}
        health = {"release": current.get("digest"), "ready": True, "pid": 1} if self.current else None
        return {
            "current": self.current, "previous": None, "running": bool(self.current), "health": health,
            "url": "http://127.0.0.1:8080", "unfinished": False, "phase": "live", "reason": None, "pid": 1,
            "python": platform.python_version(), "machine": platform.machine(), "system": platform.system(),
            "libc": " ".join(platform.libc_ver()), "memory": 4 << 30, "disk_free": 8 << 30, "soc_version": "",
            "trust": {"unsigned_allowed": True, "signers": []}, "operator": None, "reverted": None,
            "programs": {"installer": "", "supervisor": ""},
            "runtimes": dict.fromkeys(request.get("runtimes") or (), "1.0.0"),
        }  # fmt: skip

    def missing(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted = [digest for digest in sorted(request["sizes"]) if not Path(self.layout.blob(digest)).exists()]
        return {"missing": wanted, "incoming": self.layout.incoming, "deltas": codecs()}

    def patch(self, request: dict[str, Any]) -> dict[str, Any]:
        return patch(self.layout, request["deltas"])

    def unpack(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"unpacked": unpack(self.layout, request["archive"], request["sizes"])}

    def lease(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"owner": None}

    def install(self, request: dict[str, Any]) -> dict[str, Any]:
        """Checks and keeps what arrived. Blobs of all devices are links to one copy, or the disk would be full."""
        for path in Path(self.layout.incoming).iterdir():
            if sha256_of(str(path)) != path.name:
                return {"error": {"kind": "refused", "message": f"{path.name} arrived damaged.", "remedy": "Again."}}
            kept = self.pool / path.name
            if not kept.exists():
                os.link(path, kept)
            os.link(kept, self.layout.blob(path.name))
            path.unlink()
        manifest = parse_manifest(Path(self.layout.blob(request["manifest"])).read_bytes())
        lost = [digest for digest in manifest.sizes() if not Path(self.layout.blob(digest)).exists()]
        if lost:
            return {"error": {"kind": "refused", "message": f"{lost[0]} did not arrive.", "remedy": "Again."}}
        replaced = self.current and self.current["name"]
        self.number += 1
        digest = request["manifest"]
        name = f"{self.number}-{digest[:12]}"
        self.current = {"name": name, "number": self.number, "digest": digest, "serve": request["serve"]}
        replay = {"samples": 1, "p95_ms": 1.0}
        return {**self.current, "url": "http://127.0.0.1:8080", "pid": 1, "replaced": replaced, "gap_ms": 0.0,
                "unchanged": False, "replay": replay}  # fmt: skip


class Server(asyncssh.SSHServer):
    """Counts what comes up the wire, and lets no more of it in than a slow device takes."""

    def __init__(self, device: Device) -> None:
        self.device = device

    def connection_made(self, conn: Any) -> None:
        receive, device, transport = conn.data_received, self.device, conn._transport
        if device.rate:
            transport.max_size = SLOW_PIECE

        def counted(data: bytes, *rest: Any) -> None:
            device.received += len(data)
            receive(data, *rest)
            if device.rate and not transport.is_closing():
                transport.pause_reading()
                asyncio.get_running_loop().call_later(len(data) / device.rate, _resume, transport)

        conn.data_received = counted
        conn.set_extra_info(device=device)


def _resume(transport: Any) -> None:
    if not transport.is_closing():
        transport.resume_reading()


async def session(process: Any) -> None:
    """One program, as a login shell and then our relay would run it."""
    device: Device = process.get_extra_info("device")
    try:
        if "edgewright:" in (process.command or ""):
            words = [list(sys.version_info[:2]), sys.executable, str(device.home)]
            process.stdout.write(f"edgewright:{json.dumps(words)}\n".encode())
            process.exit(0)
            return
        await process.stdin.readuntil(b"\0")
        order = json.loads(await process.stdin.readuntil(b"\n"))
        nonce = order["nonce"]
        process.stdout.write(f"{nonce}\n".encode())
        process.stderr.write(f"\x1e{nonce}:up\n".encode())
        out, status = device.run(order["argv"], (await _stdin(process)).decode())
        process.stdout.write(out.encode())
        process.stderr.write(f"\x1e{nonce}:exit {status}\n".encode())
        process.exit(0)
    except (asyncio.IncompleteReadError, asyncssh.Error, OSError):
        process.exit(1)


async def _stdin(process: Any) -> bytes:
    data = b""
    while True:
        frame = await process.stdin.readuntil(b"\n")
        if found := re.fullmatch(rb"D (\d+)\n", frame):
            data += await process.stdin.readexactly(int(found[1]))
        elif frame == b"E\n":
            return data


async def serve(folder: Path, count: int, dead: int, slow: int, rate: float) -> None:
    pool = folder / "pool"
    pool.mkdir(parents=True)
    names = [f"dev-{n:04d}" for n in range(count)]
    odd = [names[(2 * n + 1) * count // (2 * (dead + slow))] for n in range(dead + slow)]  # all over the wave
    gone = [name for n, name in enumerate(odd) if n * dead // (dead + slow) < (n + 1) * dead // (dead + slow)]
    late = [name for name in odd if name not in gone]
    devices = {name: Device(folder / name, pool, rate if name in late else 0.0) for name in names if name not in gone}
    key = asyncssh.generate_private_key("ssh-ed25519")
    ports = {}
    for name in names:
        if name in gone:
            listening = await asyncio.start_server(_silent, "127.0.0.1", 0)
            ports[name] = listening.sockets[0].getsockname()[1]
            continue
        listening = await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[key], authorized_client_keys=str(folder / "identity.pub"),
            server_factory=lambda device=devices[name]: Server(device), process_factory=session, encoding=None,
            sftp_factory=True, backlog=16,
        )  # fmt: skip
        ports[name] = listening.get_port()
    told = {"ports": ports, "key": key.export_public_key().decode().strip(), "dead": gone, "slow": late}
    print(json.dumps(told), flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps({name: device.received for name, device in devices.items()}), flush=True)
        for device in devices.values():
            device.received = 0


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes whatever comes, until the other side gives up."""
    with contextlib.suppress(OSError):
        while await reader.read(1 << 16):
            pass
    writer.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), *map(int, sys.argv[2:5]), float(sys.argv[5])))
