"""Pack: the chosen artefact, its golden samples and its decision, sealed into one bundle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgewright.core.config import GoalConfig
from edgewright.core.recipe import Artifact
from edgewright.core.record import canonical, digest_of, plain
from edgewright.core.verdict import Decision
from edgewright.device.durable import write_text
from edgewright.pipeline.bundle import PRECISIONS, Bundle, Needs, write_bundle
from edgewright.pipeline.golden import Golden
from edgewright.pipeline.provenance import provenance
from edgewright.pipeline.signing import PROVENANCE, beside
from edgewright.pipeline.wheels import Wheels

BASE_MEMORY = 96 << 20
"""A Python with numpy, OpenCV and the agent, before any model."""


def pack(
    artifact: Artifact,
    decision: Decision,
    golden: Golden,
    out: Path,
    *,
    goal: GoalConfig | None = None,
    evidence: Mapping[str, Any] | None = None,
    inputs: Mapping[str, str] | None = None,
    wheels: Wheels | None = None,
) -> Bundle:
    """A bundle in the folder `out`; the same inputs give the same digest. What was measured (`evidence`,
    and the decision's sentences, which quote it) lies beside it in `<out>.attestation.json`, and how it came about
    (`inputs` maps what went in to its sha256) in `<out>.provenance.json`.

    The device measures again: `goal.latency_p95_ms` and `goal.memory_mb` become the gate of the release.
    """
    files: dict[str, Path | bytes] = {name: artifact.folder / name for name in artifact.files}
    for path in sorted(golden.folder.rglob("*")):
        if path.is_file():
            files[path.relative_to(golden.folder).as_posix()] = path
    files["decision.json"] = canonical(_decided(artifact, decision))
    files["needs.json"] = canonical(needs(artifact, golden, wheels))
    if wheels is not None:
        files |= {f"wheels/{name}": wheels.folder / name for name in wheels.files}
    files["gate.json"] = canonical(_gate(goal))
    bundle = write_bundle(files, _config(artifact), artifact.service.name, out)
    packages = {"packages": {"for": wheels.platform, "executed": wheels.executed}} if wheels else {}
    attest(bundle, {"decision": decision, "evidence": evidence or {}, **packages})
    told = provenance(bundle, artifact, decision, golden, goal=goal, inputs=inputs)
    _write(beside(bundle.path, PROVENANCE), told)
    return bundle


def attest(bundle: Bundle, statements: Mapping[str, Any]) -> Path:
    """Writes what is claimed of a bundle beside it, bound to its digest."""
    path = bundle.path.with_name(bundle.path.name + ".attestation.json")
    _write(path, {"subject": {"sha256": bundle.digest}, **plain(statements)})
    return path


def _write(path: Path, told: Any) -> None:
    """Left alone where it says that already: who packs again, after a kill, changes nothing."""
    text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
    if not path.exists() or path.read_bytes() != text.encode():
        write_text(str(path), text)


def needs(artifact: Artifact, golden: Golden, wheels: Wheels | None = None) -> Needs:
    """What a device must be. A verdict counts for the runtime it was measured with: same major and minor; what `wheels`
    carry need not be there, but they are for one Python and one machine."""
    runtimes = {
        name: _same_minor(version) for name, version in golden.runtime.items() if name not in ("python", "numpy")
    }
    weights = sum((artifact.folder / name).stat().st_size for name in artifact.files if name.startswith("model/"))
    soc, labels = str(artifact.recipe.toolchain.get("soc_version") or ""), list(artifact.service.task.labels)
    found = Needs(
        machine=golden.machine,
        memory_bytes=BASE_MEMORY + 2 * weights,
        disk_bytes=sum((artifact.folder / name).stat().st_size for name in artifact.files),
        runtimes=runtimes,
        chip=soc.removeprefix("Ascend"),
        soc_version=soc,
        labels=len(labels),
        labels_digest=digest_of(labels) if labels else "",
    )
    return found if wheels is None else _carrying(found, wheels)


def _carrying(found: Needs, wheels: Wheels) -> Needs:
    python = wheels.platform.python
    major, minor = (int(part) for part in python.split("."))
    packed = sum((wheels.folder / name).stat().st_size for name in wheels.files)
    return replace(
        found,
        machine=wheels.platform.machine,
        python=python,
        python_below=f"{major}.{minor + 1}",
        glibc=wheels.glibc,
        disk_bytes=found.disk_bytes + packed + wheels.unpacked,
        runtimes={name: held for name, held in found.runtimes.items() if not wheels.carries(name)},
    )


def _same_minor(version: str) -> tuple[str, str]:
    numbers = version.split(".")
    if len(numbers) < 2 or not (numbers[0].isdigit() and numbers[1].isdigit()):
        return version, version + "~"
    return f"{numbers[0]}.{numbers[1]}", f"{numbers[0]}.{int(numbers[1]) + 1}"


def _decided(artifact: Artifact, decision: Decision) -> dict[str, Any]:
    recipe = artifact.recipe
    return {
        "target": decision.target,
        "chosen": recipe.name,
        "verdict": decision.verdict,
        "simulated": decision.simulated,
        "recipe": {**recipe.build_key(), "runtime": recipe.runtime},
        "quantised": artifact.quantised,
    }


def _gate(goal: GoalConfig | None) -> dict[str, float]:
    limits = {"latency_p95_ms": goal.latency_p95_ms, "memory_mb": goal.memory_mb} if goal else {}
    return {name: limit for name, limit in limits.items() if limit is not None}


def _config(artifact: Artifact) -> dict[str, Any]:
    """The ModelPack config object (docs/config.md of the specification); it allows no keys of our own."""
    service = artifact.service
    endings = sorted({name.rsplit(".", 1)[-1] for name in artifact.files if name.startswith("model/") and "." in name})
    return {
        "descriptor": {"name": service.name, "family": service.family},
        "config": {"format": ",".join(endings), "precision": PRECISIONS.get(service.precision, service.precision)},
    }
