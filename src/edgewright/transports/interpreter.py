"""The device's own Python: which one, and what it calls home. Every program of ours runs in it."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from dataclasses import dataclass

from edgewright.core.errors import DeviceError
from edgewright.transports.address import Address
from edgewright.transports.carrier import Lost
from edgewright.transports.lines import Lines

OLDEST = (3, 8)
CANDIDATES = ("python3", "/usr/bin/python3", "/usr/local/bin/python3", "python3.12", "python3.10", "python")
ASK = (
    "import json,os,sys;print('edgewright:'+json.dumps("
    "[list(sys.version_info[:2]),sys.executable,os.path.expanduser('~')]))"
)
TIMEOUT_S = 60.0
MOST_OUTPUT = 1 << 16


@dataclass(frozen=True)
class Interpreter:
    path: str
    home: str


async def find(lines: Lines, address: Address) -> Interpreter:
    """The `python` option of the address, or the first candidate that is new enough."""
    wanted = address.options.get("python")
    said: list[str] = []
    for candidate in (wanted,) if wanted else CANDIDATES:
        answer = await _ask(lines, address, candidate)
        found = _told(answer)
        if found is None:
            continue
        version, path, home = found
        if version >= OLDEST:
            return Interpreter(path, home)
        said.append(f"{candidate} is {'.'.join(map(str, version))}")
    raise DeviceError(
        f"{address} has no Python {OLDEST[0]}.{OLDEST[1]} or newer{f' ({said[0]})' if said else ''}.",
        "Install one there, or name it: ?python=/path/of/python3 after the address.",
    )


def _told(answer: str) -> tuple[tuple[int, int], str, str] | None:
    """Version, path and home of a Python, out of all that a login on the device may print; None where it is none."""
    found = re.search(r"^edgewright:(\[.*\])$", answer, re.MULTILINE)
    try:
        (major, minor), path, home = json.loads(found[1]) if found else ((None, None), "", "")
    except (ValueError, TypeError, RecursionError):
        return None
    if not (isinstance(major, int) and isinstance(minor, int) and isinstance(path, str) and isinstance(home, str)):
        return None
    usable = all(text.startswith("/") and text.isprintable() for text in (path, home))
    return ((major, minor), path, home) if usable else None


async def _ask(lines: Lines, address: Address, python: str) -> str:
    """What the candidate prints; "" where there is none. Not isolated: a virtual environment is found as it is."""
    for last in (False, True):
        channel = await lines.channel(lambda line: line.run(shlex.join(["exec", python, "-S", "-c", ASK])))
        try:
            async with asyncio.timeout(TIMEOUT_S):
                out = b""
                while len(out) < MOST_OUTPUT and (part := await channel.read()):
                    out += part
                return out.decode(errors="replace")
        except Lost as lost:
            if last:
                raise DeviceError(f"{address} cut the connection: {lost}.", "Look at the log of its server.") from None
        except TimeoutError:
            raise DeviceError(f"{address} does not answer.", "Look at what keeps the device busy.") from None
        finally:
            await channel.close()
    raise AssertionError("unreachable")
