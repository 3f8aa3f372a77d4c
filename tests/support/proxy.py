"""A TCP proxy in a thread of its own, that does to a connection what networks do: cut it after so many bytes,
stall it, swallow what is sent, or change a byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

CHUNK = 16 << 10


class Proxy:
    """Listens on `port` of the loopback and goes to `to_port`. What goes wrong is set at any time:

    `cut_after` bytes sent up (client to server) since it was set, every connection is reset, once per number given;
    `stalled`: nothing is read from either side (windows fill, connections stay); `black_hole`: everything is read and
    nothing delivered; `corrupt_after`: one byte sent up after so many is changed, once; `refuse` the next so many
    connections (closed before a word, as MaxStartups does).
    """

    def __init__(self, to_port: int) -> None:
        self._to = to_port
        self.cut_after: list[int] = []
        self.stalled = self.black_hole = False
        self.corrupt_after: int | None = None
        self.refuse = 0
        self.connections = self.cuts = self.up = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._stop.set)
        self._thread.join(10)

    def cut(self) -> None:
        """Every connection now."""
        self._call(self._abort_all)

    def _call(self, what: Callable[[], Any]) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        self._ready.set()
        await self._stop.wait()
        server.close()
        self._abort_all()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.refuse > 0:
            self.refuse -= 1
            writer.transport.abort()
            return
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, there_writer}
        with contextlib.suppress(asyncio.CancelledError):  # the end of the proxy
            await asyncio.gather(
                self._carry(reader, there_writer, up=True), self._carry(there_reader, writer, up=False),
                return_exceptions=True,
            )  # fmt: skip
        for one in (writer, there_writer):
            self._open.discard(one)
            one.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, up: bool) -> None:
        while True:
            data = await reader.read(CHUNK)
            while self.stalled:
                await asyncio.sleep(0.01)
            if not data:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            if self.black_hole:
                continue
            writer.write(self._changed(data) if up else data)
            await writer.drain()

    def _changed(self, data: bytes) -> bytes:
        self.up += len(data)
        if self.cut_after and self.up >= self.cut_after[0]:
            self.cut_after.pop(0)
            self.cuts += 1
            self.up = 0
            self._abort_all()
        elif self.corrupt_after is not None and self.up >= self.corrupt_after:
            self.corrupt_after = None
            data = data[:-1] + bytes([data[-1] ^ 1])
        return data

    def _abort_all(self) -> None:
        for writer in self._open:
            writer.transport.abort()
