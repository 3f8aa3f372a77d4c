"""Golden: a few samples kept decoded with the answers the checked files gave, and the reference for
drift. Recorded by those very files on the device that checked them; replayed on every device.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError
from edgewright.core.recipe import Artifact
from edgewright.core.record import Record, digest_of
from edgewright.core.task import Dataset
from edgewright.pipeline.place import place, place_all
from edgewright.pipeline.predictions import shuffled
from edgewright.store.cache import Store

SAMPLES = 4
SIGNALS = 200
"""Samples of the reference for drift: ten bins of twenty each."""
TIMEOUT_S = 1800.0


@dataclass(frozen=True)
class Golden(Record):
    """`folder` holds golden/ and reference.json. `runtime` is what recorded it, by distribution."""

    folder: Path
    samples: int
    runtime: Mapping[str, str] = field(default_factory=dict)
    machine: str = ""


async def record_golden(store: Store, artifact: Artifact, dataset: Dataset, link: Link) -> Golden:
    """The golden samples of an artefact, out of a dataset (labels play no part). Kept in the store.
    DeviceError with the service's own words where it fails."""
    key = digest_of(artifact.files, dataset.digest, link.address, SAMPLES, SIGNALS)
    kept = store.get("golden", key, Golden)
    if kept is not None and kept.folder.is_dir():
        return kept
    with store.making("golden", key) as work:
        answer = await _record(artifact, dataset, link, work)
    found = Golden(
        folder=store.folder("golden", key),
        samples=len(answer["samples"]),
        runtime={str(name): str(version) for name, version in answer["runtime"].items()},
        machine=str(answer["machine"]),
    )
    return store.put("golden", key, found)


async def _record(artifact: Artifact, dataset: Dataset, link: Link, work: Path) -> dict[str, Any]:
    folder = await place(link, artifact.folder)
    samples = shuffled(dataset)[:SIGNALS]
    paths = await place_all(link, [sample.path for sample in samples])
    placed = [(sample.id, path) for sample, path in zip(samples, paths, strict=True)]
    out = str(work) if link.shares_files else f"{link.scratch}/{work.name}"
    request = {
        "samples": [{"id": name, "path": path} for name, path in placed[:SAMPLES]],
        "signals": [path for _, path in placed],
        "out": out,
    }
    env = {"PYTHONPATH": f"{folder}/app", "PYTHONNOUSERSITE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [link.python, "-m", "edgewright.device.golden", "record", folder]
    done = await link.run(argv, stdin=json.dumps(request), env=env, timeout_s=TIMEOUT_S)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        tail = " | ".join(done.stderr.strip().splitlines()[-3:])[:600]
        raise DeviceError(f"The golden samples could not be recorded: {tail}", "Run `edgewright doctor`.") from None
    if "error" in answer:
        raise DeviceError(str(answer["error"]["message"]), str(answer["error"]["remedy"]))
    if not link.shares_files:
        await link.get(out, work)
    return dict(answer)
