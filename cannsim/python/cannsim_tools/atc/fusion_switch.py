"""--fusion_switch_file: which optional passes are off; lines `XxxPass:off` or the JSON form."""

from __future__ import annotations

import json
from pathlib import Path

from ..vendor_error import VendorError


def read_fusion_switches(path: str) -> tuple[bool, dict[str, bool]]:
    """(passes are on unless named, switch by pass name)."""
    if not path:
        return True, {}
    text = Path(path).read_text()
    switches: dict[str, bool] = {}
    if text.lstrip().startswith("{"):
        try:
            groups = json.loads(text)["Switch"]
            pairs = [(name, value) for group in groups.values() for name, value in group.items()]
        except (ValueError, KeyError, AttributeError) as problem:
            raise VendorError("E20003", path, "fusion_switch_file", f"invalid JSON: {problem}") from None
    else:
        pairs = []
        for line in filter(None, (line.strip() for line in text.splitlines())):
            name, colon, value = line.rpartition(":")
            if not colon:
                raise VendorError("E20003", path, "fusion_switch_file", f"unreadable line {line}")
            pairs.append((name.strip(), value.strip()))
    for name, value in pairs:
        if value not in ("on", "off"):
            raise VendorError("E20003", path, "fusion_switch_file", f"{name} is neither on nor off")
        switches[str(name)] = value == "on"
    return switches.pop("ALL", True), switches
