"""The scripts that profile on an Ascend machine: files that are copied as they are, never imported."""

from __future__ import annotations

from pathlib import Path

NAMES = ("README.md", "profile_npu.py", "profile_om.py", "profile_om.sh")


def scripts() -> dict[str, bytes]:
    """The files by name."""
    return {name: (Path(__file__).parent / name).read_bytes() for name in NAMES}
