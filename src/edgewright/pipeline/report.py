"""Report: a run as one page. The run stores what the page is made of, so `edgewright report` needs
neither the model nor the device."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import edgewright
from edgewright.core.errors import InputError
from edgewright.core.facts import Facts
from edgewright.core.model import Model, TensorSpec
from edgewright.core.profile import Profile
from edgewright.core.verdict import Measurement
from edgewright.pipeline.ladder import TargetResult
from edgewright.pipeline.load import Data, Loaded
from edgewright.pipeline.profile import Profiled
from edgewright.pipeline.project import Project
from edgewright.report.model import DataSummary, ModelSummary, ReleaseSummary, RunReport, TargetReport
from edgewright.store.cache import Store

LANGUAGES = ("en", "zh")


def report(store: Store, name: str | None = None, lang: str = "en") -> Path:
    """Writes the page of a stored run again (the newest where no name is given). Returns its path."""
    runs = sorted((store.root / "runs").glob("*/report.json"), key=lambda p: p.stat().st_mtime)
    chosen = [p for p in runs if name is None or p.parent.name == name]
    if not chosen:
        what = f"called '{name}'" if name else "in this folder"
        raise InputError(f"There is no run {what}.", "Make one with `edgewright run`, or set EDGEWRIGHT_HOME.")
    record = RunReport.from_json(json.loads(chosen[-1].read_text(encoding="utf-8")))
    return write(store, record, chosen[-1].parent, lang)


def write(store: Store, record: RunReport, folder: Path, lang: str) -> Path:
    """`report.json` and `report.html` in the run's folder; timelines and operator tables beside them."""
    from edgewright.report.csv import operators_csv
    from edgewright.report.html import write_report
    from edgewright.report.trace import chrome_trace

    store.write(folder / "report.json", json.dumps(record.to_json(), ensure_ascii=False))
    for target in record.targets:
        for name, profile in target.profiles.items():
            place = folder / target.name
            store.write(place / f"{name}.trace.json", json.dumps(chrome_trace(profile)))
            store.write(place / f"{name}.operators.csv", operators_csv(profile))
    page = folder / "report.html"
    write_report(record, page, lang)
    return page


def compose(
    project: Project,
    loaded: Loaded,
    datasets: Data,
    verdict: str,
    targets: Sequence[TargetReport],
    limits: Mapping[str, float],
    notes: Sequence[str],
    seconds: float,
) -> RunReport:
    """The record of a run, from what its stages gave."""
    main = loaded.main
    asked = {key: value for key, value in project.config.goal.model_dump().items() if value not in (None, {})}
    goal = {**asked, "max_drop": dict(limits)}
    flops = max((op_flops(p) for t in targets for p in t.profiles.values()), default=0.0)
    return RunReport(
        run=project.name,
        name=project.name,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        verdict=verdict,
        task=loaded.task.kind,
        model=_model(project, main, loaded, flops),
        targets=tuple(targets),
        goal=goal,
        data=_datasets(datasets),
        calibration=datasets.health,
        digests={"model": main.digest, "configuration": _config_digest(project), **_data_digests(datasets)},
        versions=_versions([t.facts for t in targets]),
        config=project.config.model_dump(mode="json"),
        seconds=seconds,
        notes=tuple(notes),
    )


def target_report(
    found: TargetResult,
    chosen: Profiled | None,
    sweeps: Mapping[str, Mapping[str, Measurement]],
    release: ReleaseSummary | None,
) -> TargetReport:
    """One target's part of the page."""
    base = found.baseline.recipe.name
    profiles: dict[str, Profile] = {}
    if found.profile:
        profiles[base] = found.profile.profile
    if chosen:
        profiles[chosen.recipe] = chosen.profile
    named = {name: tuple(by.values()) for name, by in sweeps.items()}
    return TargetReport(
        name=found.target.name,
        facts=replace(found.facts, device=found.target.device),
        baseline=found.baseline,
        candidates=found.verdicts,
        decision=found.decision,
        profiles=profiles,
        findings=found.profile.findings if found.profile else (),
        sweeps=named,
        release=release,
    )


def op_flops(profile: Profile) -> float:
    return sum(op.flops for op in profile.operators)


def _model(project: Project, main: Model, loaded: Loaded, flops: float) -> ModelSummary:
    source = Path(project.config.model.source).name
    notes = list(main.hints.notes)
    if main.parity:
        p = main.parity
        checked = f"max difference {p.max_abs:.2e}, cosine {p.cosine:.8f}" if p.checked else p.note
        notes.append(f"ONNX export against {p.against}: {checked}.")
    return ModelSummary(
        name=project.name,
        source=source,
        digest=main.digest,
        parameters=main.parameters,
        flops=flops,
        file_bytes=main.path.stat().st_size,
        inputs=tuple(_line(spec) for spec in main.inputs),
        outputs=tuple(_line(spec) for spec in main.outputs),
        labels=len(loaded.task.labels),
        notes=tuple(notes),
    )


def _line(spec: TensorSpec) -> str:
    return f"{spec.name} {spec.dtype} {'×'.join('?' if n is None else str(n) for n in spec.shape)}"


def _datasets(datasets: Data) -> tuple[DataSummary, ...]:
    sets = [("calibration", datasets.calibration), ("validation", datasets.validation)]
    return tuple(
        DataSummary(use, d.name, len(d.samples), d.labelled, d.digest, d.notes) for use, d in sets if d is not None
    )


def _data_digests(datasets: Data) -> dict[str, str]:
    return {summary.use: summary.digest for summary in _datasets(datasets)}


def _config_digest(project: Project) -> str:
    from edgewright.core.record import digest_of

    return digest_of(project.config.model_dump(mode="json"))


def _versions(facts: Sequence[Facts]) -> dict[str, str]:
    found: dict[str, Any] = {"edgewright": edgewright.__version__, "python": platform.python_version()}
    for name in ("onnx", "onnxruntime", "openvino", "nncf", "torch", "numpy", "opencv-python-headless"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    for one in facts:
        found.update({f"{name} on {one.device}": v for name, v in one.runtimes.items() if found.get(name) != v})
    return found
