"""Remote profile: the exported scripts, run on the machine that `profile.device` names, and what they wrote imported.

The machine needs PyTorch and the accelerator's own package; nothing of ours is installed there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright import targets
from edgewright.core.config import TargetConfig
from edgewright.core.contracts import Completed, Link
from edgewright.core.errors import ConfigError, DeviceError, ToolError
from edgewright.core.record import Record
from edgewright.pipeline.connect import connect
from edgewright.pipeline.export_profiler import export_profiler
from edgewright.pipeline.import_profile import ImportResult, import_profile
from edgewright.pipeline.progress import Progress, Silent
from edgewright.pipeline.project import Project

TIMEOUT_S = 3600.0
MAX_RESULTS = 1 << 20
SCRIPT, RESULTS, CAPTURES = "profile_npu.py", "results.json", "prof"


@dataclass(frozen=True)
class RemoteProfile(Record):
    """`results` is the script's results.json: latency, copies, each output against the CPU's, versions. `imported` is
    what the profiler wrote, read as every capture is."""

    device: str
    results: Mapping[str, Any]
    imported: ImportResult


def profile_there(project: Project, progress: Progress) -> RemoteProfile:
    """`remote_profile` on the configuration's `profile.device`, kept under the results' folder."""
    return asyncio.run(_profile_there(project, progress))


async def _profile_there(project: Project, progress: Progress) -> RemoteProfile:
    device = project.config.profile.device
    if not device:
        raise ConfigError("No machine is named to profile on.", "Write `profile: {device: ssh://user@host}`.")
    link = await connect(project, TargetConfig(name="profile", family=_family(project), device=device))
    try:
        out = project.store.root / "profiles" / f"{project.name}-{secrets.token_hex(4)}"
        return await remote_profile(link, project, out, progress)
    finally:
        await link.close()


def _family(project: Project) -> str:
    """The family that reads captures: its variables are what the accelerator's package needs."""
    known = [t.family for t in project.config.targets] + list(targets.names())
    return next((name for name in known if hasattr(targets.get(name), "read_profile")), known[0])


async def remote_profile(link: Link, project: Project, out: Path, progress: Progress | None = None) -> RemoteProfile:
    """Writes the scripts into `out`/scripts, runs them over the link, brings results.json and the captures to `out`.

    ToolError where PyTorch or its accelerator package is missing there, DeviceError where no accelerator answers or
    the script fails; its own words are in the message. Outputs that differ from the CPU's are in the results.
    """
    progress = progress or Silent()
    folder = out / "scripts"
    exported = export_profiler(project, folder, progress)
    if "model.pt2" not in exported.files:
        raise ConfigError(
            "There is no PyTorch program to profile.", "Give the model as a PyTorch file, with torch installed here."
        )
    remote = f"{link.scratch}/profile-{secrets.token_hex(8)}"
    progress.stage("profile", f"on {link.address}")
    await link.put(folder, remote)
    python = project.config.profile.python or link.python
    words = [python, f"{remote}/{SCRIPT}", "--out", f"{remote}/{RESULTS}", "--prof", f"{remote}/{CAPTURES}"]
    _check(await link.run(words, timeout_s=TIMEOUT_S), link.address)
    results = await _results(link, remote, out)
    await link.get(f"{remote}/{CAPTURES}", out / CAPTURES)
    return RemoteProfile(link.address, results, import_profile(out / CAPTURES))


def _check(done: Completed, address: str) -> None:
    """The script's exit statuses: 0 done, 1 outputs differ, 3 no accelerator, 4 a tool is missing."""
    if done.returncode == 0 or (done.returncode == 1 and "Traceback" not in done.stderr):
        return
    lines = [line for line in done.stderr.strip().splitlines() if line.strip()] or ["it said nothing"]
    said = [line.strip()[:300] for line in lines[-2:]]
    remedy = said[-1] if len(said) == 2 and done.returncode in (2, 3, 4) else "Run the script there by hand."
    message = f"{SCRIPT} failed on {address}: {said[0] if done.returncode in (2, 3, 4) else said[-1]}"
    if done.returncode == 4:
        raise ToolError(message, remedy)
    raise DeviceError(message, remedy)


async def _results(link: Link, remote: str, out: Path) -> Mapping[str, Any]:
    stat = await link.stat(f"{remote}/{RESULTS}")
    if stat is None or stat.is_dir or stat.size > MAX_RESULTS:
        raise DeviceError(f"{link.address} wrote no {RESULTS}, or too large a one.", "Run the script there by hand.")
    await link.get(f"{remote}/{RESULTS}", out / RESULTS)
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads((out / RESULTS).read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    raise DeviceError(f"The {RESULTS} of {link.address} is no JSON object.", "Run the script there by hand.")
