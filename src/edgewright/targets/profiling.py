"""A family's profile of an artefact: the worker on the device asks the engine, whichever it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgewright.core.contracts import Link, Process
from edgewright.core.errors import DeviceError
from edgewright.core.profile import Profile
from edgewright.core.recipe import Artifact
from edgewright.core.task import Dataset

ITERATIONS = 20
SAMPLES = 4
PATIENCE_S = 300.0


async def profile(artifact: Artifact, samples: Dataset, link: Link) -> Profile:
    """Copies the service folder and a few samples to the device and profiles it there. DeviceError with the worker's
    own words where it fails."""
    folder = f"{link.scratch}/profile-{artifact.recipe.fingerprint()[:12]}"
    await link.put(artifact.folder, folder)
    paths = []
    for i, sample in enumerate(samples.samples[:SAMPLES]):
        paths.append(f"{folder}.samples/{i}{Path(sample.path).suffix}")
        await link.put(Path(sample.path), paths[-1])
    argv = [link.python, "-m", "edgewright.device.worker", folder]
    process = await link.start(argv, env={"PYTHONPATH": f"{folder}/app"})
    try:
        await _answer(process)
        await process.write_line(json.dumps({"do": "profile", "samples": paths, "iterations": ITERATIONS}))
        found = Profile.from_json(await _answer(process))
    finally:
        await process.stop()
    return found


async def _answer(process: Process) -> dict[str, Any]:
    line = await process.read_line(PATIENCE_S)
    try:
        answer = json.loads(line)
    except ValueError:
        tail = " ".join((await process.stderr_tail()).split())[-300:]
        raise DeviceError(f"The worker ended without an answer: {tail}", "Look at the runtime on the device.") from None
    if not isinstance(answer, dict) or "error" in answer:
        error = answer.get("error", {}) if isinstance(answer, dict) else {}
        raise DeviceError(str(error.get("message", line[:300])), str(error.get("remedy", "Build the service again.")))
    return answer
