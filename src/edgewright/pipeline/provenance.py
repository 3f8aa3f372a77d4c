"""Provenance: of what, by which recipe, with which tools and with what verdict a bundle was made, as an in-toto
Statement v1 with the predicate of SLSA Provenance v1 (in-toto.io/Statement/v1, slsa.dev/provenance/v1).

It lies beside the bundle: what it says of times and machines must not change the bundle's digest.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewright import __version__
from edgewright.core.config import GoalConfig
from edgewright.core.model import ModelSpec
from edgewright.core.recipe import Artifact
from edgewright.core.record import plain
from edgewright.core.verdict import Decision
from edgewright.device.durable import sha256_of
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.golden import Golden

TYPE, PREDICATE = "https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://edgewright.invalid/bundle/v1"
"""A name and no address: it says how `externalParameters` are to be read."""
TOOLS = ("numpy", "onnx", "onnxruntime", "onnxslim", "openvino", "nncf", "torch")


def inputs_of(spec: ModelSpec, datasets: Mapping[str, str]) -> dict[str, str]:
    """sha256 by the name of what went in: the model's file, and the data by role (their digests cover the labels)."""
    model = Path(spec.source)
    found = {f"data/{role}": digest for role, digest in sorted(datasets.items())}
    return {f"model/{model.name}": sha256_of(str(model)), **found} if model.is_file() else found


def provenance(
    bundle: Bundle,
    artifact: Artifact,
    decision: Decision,
    golden: Golden,
    *,
    goal: GoalConfig | None = None,
    inputs: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The statement about `bundle`. `inputs` maps a name to its sha256 (hex)."""
    recipe = artifact.recipe
    asked = {"target": decision.target, "family": recipe.family, "goal": goal.model_dump() if goal else {}}
    chosen = {"recipe": {**recipe.build_key(), "name": recipe.name, "runtime": recipe.runtime}}
    verdict = {"chosen": decision.chosen, "verdict": decision.verdict, "simulated": decision.simulated}
    return {
        "_type": TYPE,
        "subject": [{"name": bundle.name, "digest": {"sha256": bundle.digest}}],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": plain(asked),
                "internalParameters": plain(chosen),
                "resolvedDependencies": [
                    {"name": name, "digest": {"sha256": digest}} for name, digest in sorted((inputs or {}).items())
                ],
            },
            "runDetails": {
                "builder": {"id": BUILD_TYPE, "version": _tools()},
                "byproducts": [
                    {"name": "verdict", "annotations": plain({**verdict, "sentences": decision.sentences})},
                    {"name": "checked-with", "annotations": {"machine": golden.machine, **golden.runtime}},
                ],
            },
        },
    }


def _tools() -> dict[str, str]:
    """The versions of what can have had a part in it on this machine."""
    found = {"edgewright": __version__, "python": platform.python_version()}
    for name in TOOLS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
