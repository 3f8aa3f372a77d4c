"""Where this copy of the stand-in is installed, and which CANN and which chip it pretends to be."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Installation:
    cann: str  # "8.1.RC1"
    soc: str  # "Ascend310B4"

    @property
    def major(self) -> int:
        return int(self.cann.split(".")[0])


@cache
def installation() -> Installation:
    """CANNSIM_CANN_VERSION and CANNSIM_SOC, else cannsim.cfg of the toolkit folder named by ASCEND_TOOLKIT_HOME."""
    settings: dict[str, str] = {}
    home = os.environ.get("ASCEND_TOOLKIT_HOME") or os.environ.get("ASCEND_HOME_PATH")
    config = Path(home) / "cannsim.cfg" if home else None
    if config and config.is_file():
        pairs = (line.split("=", 1) for line in config.read_text().splitlines() if "=" in line)
        settings = {key.strip(): value.strip() for key, value in pairs}
    return Installation(
        cann=os.environ.get("CANNSIM_CANN_VERSION") or settings.get("cann_version", "8.1.RC1"),
        soc=os.environ.get("CANNSIM_SOC") or settings.get("soc", "Ascend310B4"),
    )


def state_folder() -> Path:
    """The folder the simulated device lives in; the same rule as in runtime/board.cpp."""
    given = os.environ.get("CANNSIM_STATE_DIR")
    return Path(given) if given else Path(f"/tmp/cannsim-{os.getuid()}")


def fault() -> str:
    """The fault injected by CANNSIM_FAULT or by the file `fault` of the state folder; "" when there is none."""
    if "CANNSIM_FAULT" in os.environ:
        return os.environ["CANNSIM_FAULT"]
    try:
        return (state_folder() / "fault").read_text().strip()
    except OSError:
        return ""
