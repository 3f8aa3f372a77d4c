"""The contracts of the plug rooms, on one page. Members are found by listing (core/plugs.py).

Why protocols and not base classes: a member may live in somebody else's wheel and need not import
ours. What touches a device is async; everything else is plain functions. Optional parts say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edgewright.core.facts import Check, Facts
from edgewright.core.model import LoadedModel, Model, ModelSpec, Role
from edgewright.core.profile import Finding, Profile
from edgewright.core.recipe import Artifact, Recipe, ServiceSpec
from edgewright.core.task import Dataset, Score, TaskSpec


@dataclass(frozen=True)
class Completed:
    """A finished program: its exit status and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Stat:
    size: int
    is_dir: bool


class Process(Protocol):
    """A program started on a device that speaks one line at a time."""

    async def write_line(self, line: str) -> None: ...
    async def read_line(self, timeout_s: float | None = None) -> str: ...  # "" at end of file; DeviceError on time-out
    async def stderr_tail(self) -> str: ...
    async def stop(self) -> int: ...  # ends it (politely, then not) and gives its exit status


class Link(Protocol):
    """An open way to one device. Paths are the device's; argv is never passed through a shell of ours."""

    address: str
    python: str  # the device's interpreter for our programs
    root: str  # where releases live on the device
    scratch: str  # where candidates are tried
    shares_files: bool  # the device sees this machine's files under the same paths: nothing has to be copied

    async def run(
        self, argv: Sequence[str], *, stdin: str = "", env: Mapping[str, str] | None = None, timeout_s: float = 600
    ) -> Completed: ...
    async def start(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Process: ...
    async def put(self, local: Path, remote: str) -> None: ...  # a file or a folder; resumable, fsync, atomic rename
    async def get(self, remote: str, local: Path) -> None: ...
    async def stat(self, remote: str) -> Stat | None: ...  # None where nothing is there
    async def close(self) -> None: ...  # may be called twice


class Transport(Protocol):
    name: str
    schemes: tuple[str, ...]  # ("local",), ("ssh",)

    async def open(self, address: str, *, root: str = "") -> Link: ...


class Source(Protocol):
    name: str

    def matches(self, spec: ModelSpec) -> bool: ...  # cheap; reads at most a few kilobytes; never raises
    def load(self, spec: ModelSpec) -> LoadedModel: ...
    def to_onnx(self, loaded: LoadedModel, opset: int, folder: Path) -> dict[Role, Model]:
        """Writes the graph(s) (and, where torch is here, the `.pt2` program) into `folder`. The opset
        asked is the opset written; parity against the framework is recorded or refused."""
        ...


class Task(Protocol):
    name: str
    metrics: tuple[str, ...]  # the first is the one gates use unless the goal names another

    def spec(self, model: Model, options: Mapping[str, Any]) -> TaskSpec:
        """Pre- and post-processing as data, from the model's hints and the configuration's `task:` options."""
        ...

    def dataset(self, where: Any, spec: TaskSpec, model: Model, folder: Path) -> Dataset:
        """Reads `where` (a core.config.DataSource). `folder` is for files the task must write (generated
        tensors). InputError for empty data, labels ≠ classes, unreadable files."""
        ...

    def score(self, dataset: Dataset, predictions: Sequence[Any], spec: TaskSpec, metric: str) -> Score: ...
    def agreement(
        self, dataset: Dataset, predictions: Sequence[Any], reference: Sequence[Any], spec: TaskSpec
    ) -> Score: ...
    def health(self, calibration: Dataset, validation: Dataset | None, spec: TaskSpec) -> tuple[Finding, ...]: ...

    # ondevice.py: session(task: dict, engines: {role: Engine}, mode) -> object with run(sample) -> prediction


class Target(Protocol):
    name: str
    precisions: tuple[str, ...]  # what offers() may give, most accurate last

    async def probe(self, link: Link) -> Facts: ...
    async def doctor(self, link: Link) -> tuple[Check, ...]: ...
    def offers(
        self, model: Model, spec: TaskSpec, facts: Facts, options: Mapping[str, Any], calibrated: bool
    ) -> Iterator[Recipe]:
        """Pure: every recipe worth trying, in ladder order, the plain fp32 one last. `options` is the
        target's entry in the configuration; `calibrated` says whether calibration data exist."""
        ...

    def build(
        self, models: Mapping[Role, Model], spec: TaskSpec, recipe: Recipe, calibration: Dataset | None, folder: Path
    ) -> BuildResult:
        """Applies the recipe and writes the artefact's files under `folder`/model. Host work for the
        families here; a family that builds elsewhere opens its own link from `options`."""
        ...

    async def profile(self, artifact: Artifact, samples: Dataset, link: Link) -> Profile: ...

    # Optional, looked for by name:
    #   baseline: str — the family that the float baseline runs in on this family's devices
    #   builds_batches: bool — a batch is built, not opened (recipe.batch instead of runtime's)
    #   async environment(link, options) -> {name: value} — variables every program of this family needs on the device
    #   async build_on(host: Link, models, spec, recipe, calibration, folder) -> BuildResult — instead of `build`, for
    #       tools that may live elsewhere; `host` is opened from recipe.toolchain["host"], "local" where that is empty
    #   export_conversion(models, spec, recipe, calibration, folder) -> tuple[str, ...] — writes `folder`: everything to
    #       make that build on a machine we cannot reach; gives the commands to say there, in `folder`
    #   export_foreign(spec, facts, options, folder) -> {recipe: commands} | None — the same for a model file that only
    #       the vendor's converter reads; None: not such a file
    #   write_handover(out, project, lines), is_converted(place) -> bool — the script over them, and whether it ran
    #   handover_places: (key, …) — of recipe.toolchain, what says only where a conversion is done
    #   import_conversion(folder, recipe, into) -> BuildResult — takes the result back
    #   read_profile(path: Path) -> tuple[Profile, ...] | None — a capture of the family's own profiler; None: not mine
    #   check_command(text: str) -> CommandReview — a hand-written command line of the family's converter
    # ondevice.py: open(path, settings) -> Engine: .inputs, .outputs, .run({name: array}) -> {name: array},
    #              .executed() -> {"precisions": {dtype: share}, "ops": {dtype: count}}, .profile(feeds) , .close()


@dataclass(frozen=True)
class BuildResult:
    """What a target's build gives; the pipeline adds the device files and seals the Artifact."""

    service: ServiceSpec
    quantised: Mapping[str, int]
    notes: tuple[str, ...] = ()
    reports: tuple[Finding, ...] = ()


class Rule(Protocol):
    name: str

    def look(self, profile: Profile, facts: Facts) -> Iterator[Finding]: ...
