"""Init: a commented configuration that runs as it is, from a model file or from an older config.json.

What the model says of itself fills the file; what nobody knows is left to defaults, shown as comments.
Without data nothing can be calibrated or scored: the task is then `tensors`, and INT8 is not asked for.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgewright import targets
from edgewright.core import classic
from edgewright.core import config as configuration
from edgewright.core.model import Model
from edgewright.core.record import Record
from edgewright.pipeline.load import load
from edgewright.pipeline.progress import Progress
from edgewright.pipeline.project import Project, open_project

CALIBRATED = ("int8", "mixed")
MAIN_METRIC = {"detection": "map50_95", "classification": "top1"}


@dataclass(frozen=True)
class InitResult(Record):
    """`text` is the YAML; `facts` are sentences about the model; `notes` what the user should know."""

    text: str
    task: str
    facts: tuple[str, ...]
    notes: tuple[str, ...]


def init(
    model: str,
    folder: Path,
    progress: Progress,
    *,
    data: str | None = None,
    device: str | None = None,
    target: str | None = None,
    trust: bool = False,
) -> InitResult:
    """The configuration for a model, with paths relative to `folder`, where the file will lie.

    InputError where the model or the data cannot be read; UnsafeModelError where reading would run code.
    """
    family = target or ("openvino" if importlib.util.find_spec("openvino") else "onnxruntime")
    project = open_project(model, data=data, device=device, target=family)
    trusted = project.config.model.model_copy(update={"trust": trust})
    project = replace(project, config=project.config.model_copy(update={"model": trusted}))
    loaded = load(project, progress)
    facts = tuple(_facts(loaded.main, loaded.source))
    sections = _sections(project, folder, loaded.task.kind, bool(data), trust)
    text = _text(sections, facts, loaded.main, bool(data))
    configuration.parse(_as_data(text))
    return InitResult(text, loaded.task.kind, facts, (*project.notes, *loaded.main.hints.notes))


def init_from_classic(path: Path, folder: Path) -> InitResult:
    """The configuration that an older pipeline's eight-key config.json means."""
    sections, notes = classic.translate(path)
    base = path.absolute().parent
    sections["model"]["source"] = _relative(base / sections["model"]["source"], folder)
    if "data" in sections:
        sections["data"]["calibration"]["path"] = _relative(base / sections["data"]["calibration"]["path"], folder)
    text = _text(sections, (f"From {path.name}.", *notes), None, "data" in sections)
    configuration.parse(_as_data(text), members=False)
    return InitResult(text, "auto", (), tuple(notes))


def _sections(project: Project, folder: Path, kind: str, has_data: bool, trust: bool) -> dict[str, Any]:
    source = project.model_spec().source
    sections: dict[str, Any] = {"model": {"source": _relative(Path(source), folder) if _is_path(source) else source}}
    if trust:
        sections["model"]["trust"] = True
    sections["task"] = {"kind": kind}
    if has_data:
        used = project.config.data.model_dump(exclude_unset=True, exclude_none=True)
        sections["data"] = {
            use: {**entry, "path": _relative(Path(entry["path"]), folder)} for use, entry in used.items()
        }
    chosen = project.config.targets[0]
    sections["targets"] = [{"name": chosen.name, "family": chosen.family, "device": chosen.device}]
    if not has_data:
        sections["targets"][0]["precision"] = [p for p in targets.get(chosen.family).precisions if p not in CALIBRATED]
    return sections


def _is_path(source: str) -> bool:
    return Path(source).is_absolute() and Path(source).exists()


def _relative(path: Path, folder: Path) -> str:
    """Relative to the file, so that both can be moved together; absolute where they share nothing but the root."""
    path, folder = path.absolute(), folder.absolute()
    apart = len(Path(os.path.commonpath([path, folder])).parts) == 1
    return str(path) if apart else os.path.relpath(path, folder)


def _facts(model: Model, source: str) -> list[str]:
    """What the model says of itself, for the reader of the file."""
    hints = model.hints
    said = [f"{source}: {model.parameters / 1e6:.2f} million parameters." if model.parameters else f"{source}."]
    for name, specs in (("in", model.inputs), ("out", model.outputs)):
        shown = [f"{s.name} {s.dtype} {'×'.join('?' if n is None else str(n) for n in s.shape)}" for s in specs]
        said.append(f"{name}: {'; '.join(shown[:8])}{' …' if len(shown) > 8 else ''}")
    if hints.kind:
        said.append(f"Made for: {hints.kind}{f' ({hints.family})' if hints.family else ''}.")
    if hints.labels:
        said.append(
            f"Labels: {len(hints.labels)}: {', '.join(hints.labels[:8])}{' …' if len(hints.labels) > 8 else ''}"
        )
    return said


def _text(sections: Mapping[str, Any], facts: tuple[str, ...], model: Model | None, has_data: bool) -> str:
    """The YAML file. Lines that begin with `# ` and a key are settings to uncomment."""
    kind = sections.get("task", {}).get("kind", "auto")
    hinted = model.hints.kind if model else ""
    blocks = [
        _comment("Run it with `edgewright run` and this file. Every key: docs/configuration.md"),
        "model:\n" + _keys(sections["model"]) + _indented(_comment(*facts)),
        "task:\n" + _keys({"kind": kind}) + _indented(_task_comment(kind, hinted, has_data)),
        _data(sections, hinted or kind, has_data),
        _goal(kind, has_data),
        _targets(sections["targets"][0], has_data),
        "serve:\n  host: 127.0.0.1   # this machine only; the port is the first free one from 8080 on\n"
        "  # source: camera:0   # or a folder, a video file, rtsp://…\n",
        "watch:\n  interval_s: 10\n  # incidents: {latency_p95_ms: 50, error_rate: 0.01, drift_psi: 0.25}\n",
    ]
    return "\n".join(blocks)


def _task_comment(kind: str, hinted: str, has_data: bool) -> str:
    if kind == "auto":
        return _comment("auto: what the model says of itself.")
    if not has_data and hinted:
        return _comment(f"With images under `data:` this can be {hinted}; without, outputs are compared as tensors.")
    if kind == "tensors":
        return _comment("Outputs are compared with the float model's, on generated inputs where no data is given.")
    return ""


def _data(sections: Mapping[str, Any], kind: str, has_data: bool) -> str:
    if not has_data:
        example = "folder/of/images" if kind in MAIN_METRIC else "folder/of/npz/files"
        return _comment(
            "data:",
            f"  calibration: {example}        # for INT8; needs no labels",
            "  validation: {path: data.yaml, split: val}   # without labels the gate is agreement with the float model",
        )
    return "data:\n" + "".join(f"  {use}: {_flow(entry)}\n" for use, entry in sections["data"].items())


def _goal(kind: str, has_data: bool) -> str:
    text = "goal:\n  optimise: latency   # or throughput, accuracy, size, memory\n"
    metric = MAIN_METRIC.get(kind, "cosine" if kind == "tensors" else "agreement")
    text += f"  # max_drop: {{{metric}: 1}}   # points of 100 against the float model\n"
    return text + "  # latency_p95_ms: 20\n  # throughput: 30\n  # size_mb: 10\n  # memory_mb: 500\n"


def _targets(target: Mapping[str, Any], has_data: bool) -> str:
    text = "targets:\n  - " + _keys(target).strip().replace("\n  ", "\n    ") + "\n"
    if "precision" not in target:
        text += "    # precision: [int8, fp16, bf16, fp32]   # all, where nothing is said\n"
    elif not has_data:
        text += "    # int8 needs real data to calibrate on: give `data:` above and remove the line `precision`\n"
    return text


def _keys(entries: Mapping[str, Any]) -> str:
    return "".join(f"  {key}: {_flow(value)}\n" for key, value in entries.items())


def _flow(value: Any) -> str:
    import yaml

    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _comment(*lines: str) -> str:
    return "".join(f"# {' '.join(line.split()) if not line.startswith('  ') else line}\n" for line in lines)


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


def _as_data(text: str) -> Any:
    import yaml

    return yaml.safe_load(text)
