"""Recipe: everything needed to build one candidate. Artifact: what was built. Both are data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgewright.core.model import Role, Step
from edgewright.core.profile import Finding
from edgewright.core.record import Record
from edgewright.core.task import TaskSpec

PRECISIONS = ("int8", "mixed", "fp16", "bf16", "fp32")
"""The ladder, fastest first. fp16 and bf16 are the two "half" rungs; a device has one or neither."""


@dataclass(frozen=True)
class Recipe(Record):
    """`graph` names steps of the graph room in order, with their parameters. `quantiser` is the
    target's own settings; `keep_float` lists nodes left out of quantisation. `runtime` holds
    engine settings (threads, streams, hint, inference_precision). `toolchain` is what converts it, where that is not
    this process (chip, toolkit version, where it runs). `only_if_failed` names recipes that must all have failed
    before this one is worth building. `name` is unique in a target."""

    name: str
    family: str
    precision: str
    graph: tuple[Step, ...] = ()
    quantiser: Mapping[str, Any] = field(default_factory=dict)
    keep_float: tuple[str, ...] = ()
    batch: int = 1
    runtime: Mapping[str, Any] = field(default_factory=dict)
    toolchain: Mapping[str, Any] = field(default_factory=dict)
    only_if_failed: tuple[str, ...] = ()
    predicted_latency_ms: float | None = None
    reason: str = ""

    def build_key(self) -> Mapping[str, Any]:
        """What the built files depend on: all but the name, its place on the ladder, the reason and the runtime."""
        skip = {"name", "only_if_failed", "predicted_latency_ms", "reason", "runtime"}
        return {key: value for key, value in self.to_json().items() if key not in skip}


@dataclass(frozen=True)
class Port(Record):
    """One input or output of an engine: its role in the task, and its name inside the artefact."""

    role: str
    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class EngineSpec(Record):
    """What a target's `ondevice.open(path, settings)` needs. `path` is relative to the service folder."""

    path: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()


@dataclass(frozen=True)
class ServiceSpec(Record):
    """`service.json`: the one file that tells the device what to run. `task` holds the residual pre-
    and post-processing: what the artefact swallowed is no longer in it."""

    name: str
    family: str
    precision: str
    task: TaskSpec
    engines: Mapping[Role, EngineSpec]
    batch: int = 1
    simulated: bool = False
    format: int = 1


@dataclass(frozen=True)
class Artifact(Record):
    """A built candidate: a folder whose files (relative path → sha256) and service are final. `reports` is what the
    converter told of the graph: unsupported operators, fusions."""

    recipe: Recipe
    folder: Path
    files: Mapping[str, str]
    service: ServiceSpec
    size_bytes: int
    build_seconds: float
    quantised: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    reports: tuple[Finding, ...] = ()
