"""Finding CANN on a link, and the variables that every program of it needs there.

`set_env.sh` is read by login shells alone. What it sets is taken once, on the device, in an empty environment
(ask_toolkit.py), and from then on it is data: for programs over the link, and for the service that is installed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError
from edgewright.core.record import Record

QUESTION = Path(__file__).with_name("ask_toolkit.py")
PLAIN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MOST_VARIABLES, LONGEST_VALUE = 200, 1 << 15


@dataclass(frozen=True)
class Toolkit(Record):
    """CANN as found on one device; every path is the device's.

    `layout` is "8" (ascend-toolkit/latest) or "9" (the flat folder of /usr/local/Ascend/cann, CANN 8.5 and newer).
    `environment` holds what sourcing `script` changes, expanded, and the driver's library folders. `tools` maps those
    of "atc", "amct_onnx", "msprof" and "npu-smi" that are there to their paths. `simulated`: it is a stand-in.
    `found_by` is "hint", a variable's name or a place. `host_path` is the PATH of whoever asked there.
    """

    root: str
    layout: str
    version: str
    simulated: bool
    environment: Mapping[str, str]
    tools: Mapping[str, str]
    script: str = ""
    found_by: str = ""
    host_path: str = ""

    @property
    def converts(self) -> bool:
        """Whether it can make an .om; a runtime (nnrt) alone cannot."""
        return "atc" in self.tools

    @property
    def converting(self) -> dict[str, str]:
        """The variables for tools that convert: `environment`, and the PATH that sourcing `script` gives in the host's
        own shell. They start a Python and a compiler, and a service does not."""
        plain = PLAIN_PATH.split(":")
        theirs = [part for part in self.environment.get("PATH", "").split(":") if part and part not in plain]
        own = [part for part in self.host_path.split(":") if part]
        return {**self.environment, "PATH": ":".join(dict.fromkeys([*theirs, *own, *plain]))}


async def find(link: Link, hint: str = "") -> Toolkit | None:
    """The toolkit in reach of the device, None where there is none.

    Looked for in order: `hint` (the toolkit or the folder of its set_env.sh; a relative one starts at the link's
    working folder), ASCEND_HOME_PATH, ASCEND_TOOLKIT_HOME, /usr/local/Ascend, ~/Ascend, and `.cann` in the working
    folder and in `link.root`. A hint that leads nowhere is passed over: one entry may be meant for another machine.
    DeviceError where the device's Python does not answer.
    """
    argv = [link.python, "-c", QUESTION.read_text(encoding="utf-8"), hint, link.root]
    done = await link.run(argv, timeout_s=180)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        reason = " ".join(done.stderr.split())[-300:] or "it said nothing"
        raise DeviceError(
            f"The search for CANN failed on {link.address}: {reason}.",
            "Check that the device's Python is 3.8 or newer.",
        )
    return _read(lines[-1], link.address)


async def environment(link: Link, options: Mapping[str, Any]) -> dict[str, str]:
    """The variables that programs of CANN need on the device; {} where no toolkit is there.

    `options["toolkit"]` is the hint.
    """
    found = await find(link, str(options.get("toolkit") or ""))
    return dict(found.environment) if found else {}


def _read(line: str, address: str) -> Toolkit | None:
    """The device's answer, which is not to be trusted: bounded, and of the expected shape."""
    try:
        answer = json.loads(line)
        if answer is None:
            return None
        found = Toolkit.from_json(answer)
        if found.layout not in ("8", "9") or not found.root.startswith("/"):
            raise ValueError("layout or root")
        if not all(isinstance(path, str) and path.startswith("/") for path in found.tools.values()):
            raise ValueError("tools")
        _check_variables(found.environment)
        _check_variables({"PATH": found.host_path})
    except (ValueError, TypeError, RecursionError):
        raise DeviceError(
            f"The search for CANN on {address} gave an answer that is none.", "Look at Python on the device."
        ) from None
    return found


def _check_variables(variables: Mapping[str, Any]) -> None:
    if len(variables) > MOST_VARIABLES:
        raise ValueError("too many variables")
    for name, value in variables.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(f"variable {name!r}")
        if not isinstance(value, str) or len(value) > LONGEST_VALUE or re.search(r"[\0\r\n]", value):
            raise ValueError(f"value of {name}")
