"""Baseline: the model as its owner has it, run as its owner would. PyTorch eager fp32 where the source
gave a torch program and torch is installed; else ONNX Runtime fp32. Ordinary pre- and post-processing,
no graph steps: every gain is measured against this. The torch program is the ExportedProgram run
eagerly; on YOLOv5n it took some 15 % longer than the module it came from (benchmarks/ uses the module)."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace

from edgewright import targets
from edgewright.core.contracts import Link
from edgewright.core.facts import Facts
from edgewright.core.recipe import Artifact, Recipe
from edgewright.core.record import Record, digest_of
from edgewright.core.verdict import Measurement, MetricResult
from edgewright.pipeline.build import build
from edgewright.pipeline.load import Data, Loaded
from edgewright.pipeline.progress import Progress
from edgewright.pipeline.project import Project
from edgewright.store.cache import code_version


@dataclass(frozen=True)
class Baseline(Record):
    """The baseline's artefact with what was measured on it; `metric` is None until a check ran."""

    artifact: Artifact
    measurement: Measurement | None = None
    metric: MetricResult | None = None


def baseline_family(loaded: Loaded, family: str) -> str:
    """What a target family says its devices' baseline is, else PyTorch, else ONNX Runtime. The torch program holds
    one shape: a model whose samples differ in length has ONNX Runtime for its base."""
    own = getattr(targets.get(family), "baseline", "")
    if own:
        return str(own)
    has_torch = importlib.util.find_spec("torch") is not None and "torch" in targets.names()
    one_shape = all(isinstance(n, int) for spec in loaded.main.inputs for n in spec.shape[1:])
    return "torch" if loaded.main.program is not None and has_torch and one_shape else "onnxruntime"


def baseline_recipe(loaded: Loaded, family: str) -> Recipe:
    """fp32, nothing changed: the graph as exported, the steps as the task says them."""
    base = baseline_family(loaded, family)
    name = "pytorch-fp32" if base == "torch" else f"{base}-fp32"
    return Recipe(name=name, family=base, precision="fp32", reason="The model as its owner runs it.")


def build_baseline(project: Project, loaded: Loaded, data: Data, family: str, progress: Progress) -> Artifact:
    return build(project, loaded, data, baseline_recipe(loaded, family), progress)


async def probe(project: Project, family: str, link: Link, progress: Progress) -> Facts:
    """The device's facts, measured once per address, family, code and runtime version."""
    import importlib.metadata

    versions = sorted(
        f"{d.metadata['Name']}={d.version}"
        for name in (family, "onnxruntime", "openvino", "numpy")
        for d in importlib.metadata.distributions(name=name)
    )
    key = digest_of(code_version(f"targets/{family}", "device/probe"), versions, link.address, link.python)
    stored = project.store.get("probe", key, Facts)
    if stored:
        return stored
    progress.stage("probe", f"measuring what {link.address} can do")
    facts = await targets.get(family).probe(link)
    return project.store.put("probe", key, replace(facts, device=link.address))
