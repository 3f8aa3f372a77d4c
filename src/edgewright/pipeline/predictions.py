"""Predictions of a service over a dataset, kept line by line so that a killed run resumes.

The samples are visited in one shuffled order, so that every prefix is a fair sample and a sequential
gate may stop at any planned look.
"""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError
from edgewright.core.recipe import Artifact
from edgewright.core.record import digest_of
from edgewright.core.task import Dataset, Sample
from edgewright.pipeline.place import place, place_all
from edgewright.pipeline.progress import Progress
from edgewright.pipeline.worker import Worker
from edgewright.store.cache import Store

CHUNK = 64


def shuffled(dataset: Dataset, seed: int = 0) -> tuple[Sample, ...]:
    order = np.random.default_rng(seed).permutation(len(dataset.samples))
    return tuple(dataset.samples[int(i)] for i in order)


class Predictor:
    """Predictions of one artefact on one dataset; the worker starts only if something is missing."""

    def __init__(self, store: Store, link: Link, artifact: Artifact, dataset: Dataset, thresholds: str) -> None:
        self._link, self._artifact, self._thresholds = link, artifact, thresholds
        self.samples = shuffled(dataset)
        key = digest_of(artifact.files, dataset.digest, thresholds, link.address)
        self.folder = store.folder("predictions", key)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lines = self.folder / "predictions.jsonl"

    async def first(self, count: int, progress: Progress) -> list[Any]:
        """Predictions of the first `count` samples of the shuffled order."""
        known = self._known()
        missing = [s for s in self.samples[:count] if s.id not in known]
        if missing:
            await self._predict(missing, count, progress)
            known = self._known()
        try:
            return [known[s.id] for s in self.samples[:count]]
        except KeyError as error:
            raise DeviceError(f"The device gave no prediction for sample {error}.", "Run again: it resumes.") from None

    def _known(self) -> dict[str, Any]:
        """Every whole line; a line cut by a kill is dropped (and its sample predicted again)."""
        if not self._lines.exists():
            return {}
        whole: dict[str, Any] = {}
        text = self._lines.read_bytes()
        end = text.rfind(b"\n") + 1
        if end != len(text):
            with self._lines.open("r+b") as stream:
                stream.truncate(end)
        for line in text[:end].splitlines():
            try:
                entry = json.loads(line)
                whole[entry["id"]] = self._located(entry["prediction"])
            except (ValueError, KeyError, TypeError):
                continue
        return whole

    def _located(self, prediction: Any) -> Any:
        """A prediction that is a file lies beside the lines; its name becomes the path of it here."""
        if isinstance(prediction, dict) and isinstance(prediction.get("file"), str):
            return {**prediction, "file": str(self.folder / Path(prediction["file"]).name)}
        return prediction

    async def _predict(self, missing: Sequence[Sample], total: int, progress: Progress) -> None:
        folder = await place(self._link, self._artifact.folder)
        async with Worker(self._link, folder) as worker:
            for start in range(0, len(missing), CHUNK):
                chunk = missing[start : start + CHUNK]
                placed = await place_all(self._link, [s.path for s in chunk])
                samples = [{"id": s.id, "path": path} for s, path in zip(chunk, placed, strict=True)]
                away = "" if self._link.shares_files else await self._elsewhere()
                out = f"{away}/{self._lines.name}" if away else str(self._lines)
                await worker.ask("predict", samples=samples, thresholds=self._thresholds, out=out)
                if away:
                    await self._fetch(away)
                progress.step(total - len(missing) + start + len(chunk), total, "predictions")

    async def _elsewhere(self) -> str:
        """A new folder of the device for the worker to write to."""
        remote = f"{self._link.scratch}/predictions-{self.folder.name[:24]}-{secrets.token_hex(4)}"
        with tempfile.TemporaryDirectory() as empty:
            await self._link.put(Path(empty), remote)
        return remote

    async def _fetch(self, remote: str) -> None:
        """What the worker wrote there: first the files beside the lines, so that no line names one that is not here."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            await self._link.get(remote, Path(folder))
            for path in Path(folder).glob("*.npz"):
                path.replace(self.folder / path.name)
            with self._lines.open("ab") as stream:
                stream.write((Path(folder) / self._lines.name).read_bytes())


def truths(samples: Sequence[Sample], dataset: Dataset) -> Dataset:
    """The dataset cut to these samples, in this order."""
    return Dataset(
        dataset.name, tuple(samples), dataset.labelled, digest_of(dataset.digest, len(samples)), dataset.notes
    )


def sample_paths(dataset: Dataset, count: int) -> list[Path]:
    """The samples that latency is measured on: the first of the shuffled order."""
    return [s.path for s in shuffled(dataset)[:count]]
