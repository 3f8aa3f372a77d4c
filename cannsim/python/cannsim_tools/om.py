"""The stand-in's .om: header, manifest of lines, lowered network. runtime/om_file.cpp reads the same layout.

8 bytes  "CNSIMOM\\0"
4        format version (1)
4        CRC-32 of everything after the header
8        bytes of the manifest
8        bytes of the network (an ONNX model)
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

MAGIC = b"CNSIMOM\0"
VERSION = 1
HEADER = struct.Struct("<8sIIQQ")
LARGEST = 4 << 30


class OmError(ValueError):
    """The file is not a whole .om of this stand-in."""


def escape(name: str) -> str:
    return quote(name, safe="/:._-()[]+=,@") or "%20"


def dims_text(dims: list[int]) -> str:
    return ",".join(str(d) for d in dims) or "-"


@dataclass
class Manifest:
    """Lines of `key words…`, in order; keys may repeat."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def add(self, key: str, *words: object) -> None:
        self.lines.append((key, " ".join(str(word) for word in words)))

    def first(self, key: str, otherwise: str = "") -> str:
        return next((words for name, words in self.lines if name == key), otherwise)

    def all(self, key: str) -> list[str]:
        return [words for name, words in self.lines if name == key]

    def encode(self) -> bytes:
        return "".join(f"{key} {words}\n" for key, words in self.lines).encode()


def write_om(path: Path, manifest: Manifest, network: bytes) -> None:
    """Writes beside the final name first: a reader never sees half a model."""
    description = manifest.encode()
    body = description + network
    header = HEADER.pack(MAGIC, VERSION, zlib.crc32(body), len(description), len(network))
    part = path.with_name(path.name + ".part")
    part.write_bytes(header + body)
    part.replace(path)


def read_om(path: Path) -> tuple[Manifest, bytes]:
    """Raises OmError for anything but a whole, undamaged file; OSError when it cannot be read."""
    if path.stat().st_size > LARGEST:
        raise OmError("the file is larger than a model can be")
    data = path.read_bytes()
    if len(data) < HEADER.size:
        raise OmError("the file is shorter than its header")
    magic, version, crc, manifest_size, network_size = HEADER.unpack_from(data)
    body = data[HEADER.size :]
    if magic != MAGIC:
        raise OmError("the file is no model of this stand-in")
    if version != VERSION:
        raise OmError(f"the file has format version {version}; this tool reads {VERSION}")
    if manifest_size + network_size != len(body) or zlib.crc32(body) != crc:
        raise OmError("the file is damaged")
    lines = []
    for line in body[:manifest_size].decode().splitlines():
        key, _, words = line.partition(" ")
        lines.append((key, words))
    return Manifest(lines), body[manifest_size:]


__all__ = ["Manifest", "OmError", "dims_text", "escape", "read_om", "unquote", "write_om"]
