"""A conversion as files and commands: everything a CANN host needs to make one .om, whoever runs it there.

The folder holds `model.onnx` and whatever the recipe needs beside it (`aipp.cfg`, `amct.cfg`, `calibration/`, …); the
commands are run in it, in order, and leave `<role>.om` (or `<role>_linux_<arch>.om`: the vendor's tool decides).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgewright.core.errors import ConfigError, InputError, ToolError
from edgewright.core.model import Model, Role, Step
from edgewright.core.profile import Finding
from edgewright.core.recipe import Port, Recipe
from edgewright.core.record import Record
from edgewright.core.task import Dataset, TaskSpec
from edgewright.graph import surgery
from edgewright.graph.step import apply
from edgewright.graph.steps.set_opset import IR_VERSION
from edgewright.targets import emit
from edgewright.targets.calibration import Calibration
from edgewright.targets.cann import aipp, amct, atc_settings, gears, sensitivity
from edgewright.targets.cann.precheck import precheck
from edgewright.targets.cann.quantised_model import is_quantised


@dataclass(frozen=True)
class Conversion(Record):
    """One model's way to an .om: commands to run in `folder`, and what the .om will look like to a program."""

    role: Role
    folder: Path
    commands: tuple[tuple[str, ...], ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    task: TaskSpec
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def prepare(
    models: Mapping[Role, Model], spec: TaskSpec, recipe: Recipe, calibration: Dataset | None, folder: Path
) -> tuple[Conversion, ...]:
    """Writes one folder per role. ToolError where the pre-check finds what no converter will take."""
    return tuple(_prepare(role, model, spec, recipe, calibration, folder / role) for role, model in models.items())


def _prepare(
    role: Role, model: Model, spec: TaskSpec, recipe: Recipe, calibration: Dataset | None, folder: Path
) -> Conversion:
    folder.mkdir(parents=True, exist_ok=True)
    steps = _at_batch(recipe)
    carried = is_quantised(model.path)
    if carried:  # nothing may come between a quantiser's nodes and the converter
        steps = tuple(step for step in steps if step.kind in ("fix_batch",))
    results = apply(emit.read_graph(model.path), spec, steps)
    graph, task = results[-1].model, results[-1].spec
    notes = [f"{step.kind}: {result.note}" for step, result in zip(steps, results, strict=False)]
    _name_nodes(graph)
    inputs, outputs = emit.ports(graph, spec, recipe.batch)
    chain = recipe.toolchain
    chosen = chain.get("gears") or {}
    gears.open_graph(graph, chosen)
    inputs, outputs = gears.ports(inputs, chosen), gears.ports(outputs, chosen)
    _fixed(inputs, set(chosen))
    found = precheck(
        graph, soc_version=chain["soc_version"], cann=chain["cann"], quantised=bool(recipe.quantiser.get("kind"))
    )
    stops = [finding for finding in found if finding.severity == "error"]
    if stops:
        raise ToolError(f"{stops[0].title}: {stops[0].detail}", stops[0].remedy or "Change the model there.")
    _plain_format(graph)
    emit.write_graph(graph, folder / "model.onnx")
    _asserted(folder / "model.onnx", surgery.opset(graph), graph.ir_version)
    commands: list[tuple[str, ...]] = []
    if recipe.quantiser.get("kind"):
        commands.append(_quantising(graph, task, recipe, calibration, inputs, outputs, folder, notes))
    unit = aipp.take_over(task, inputs[0].shape, str(chain.get("aipp"))) if _has_unit(chain, inputs) else None
    if unit:
        (folder / "aipp.cfg").write_text(unit.config, encoding="utf-8")
        notes.append(unit.reason)
        task = unit.spec
    commands.append(atc_settings.command(role, recipe, inputs, folder, unit=bool(unit)))
    if unit:
        inputs = (replace(inputs[0], dtype="uint8", shape=unit.shape),)
    return Conversion(role, folder, tuple(commands), inputs, outputs, task, tuple(notes), found)


def _at_batch(recipe: Recipe) -> tuple[Step, ...]:
    """The recipe's steps with its batch; a graph whose batch nobody settles at one is opened to a larger one."""
    gear = gears.kind_of(recipe.toolchain.get("gears") or {})
    batch = Step("open_batch") if gear == "batch" else Step("fix_batch", {"batch": recipe.batch})
    steps = tuple(batch if step.kind == "fix_batch" else step for step in recipe.graph)
    settled = batch in steps or (recipe.batch == 1 and gear != "batch")
    return steps if settled else (batch, *steps)


def _name_nodes(graph: Any) -> None:
    """Every node gets a name of its own: AMCT's skip_layers and the .om's output names are made of them."""
    seen: set[str] = set()
    for number, node in enumerate(graph.graph.node):
        name = node.name or f"{node.op_type}_{number}"
        while name in seen:
            name = f"{name}_{number}"
        node.name = name
        seen.add(name)


def _fixed(inputs: tuple[Port, ...], kinds: set[str]) -> None:
    """Every dimension is a number, but for those that gears settle."""
    places = set(range(8)) if "dims" in kinds else {0} if "batch" in kinds else {2, 3} if "image" in kinds else set()
    for port in inputs:
        if any(n is None and i not in places for i, n in enumerate(port.shape)):
            shape = "×".join("?" if n is None else str(n) for n in port.shape)
            raise InputError(
                f"The input {port.name} is {shape}: an .om has fixed shapes, or gears.",
                f"Give the shape: model: {{inputs: {{{port.name}: […]}}}}; or options: {{gears: {{dims: […]}}}}.",
            )


def _plain_format(graph: Any) -> None:
    """The file format that belongs to the operator set: an exporter's newer one says nothing more, and AMCT's ONNX
    Runtime refuses it (1.5.2 of CANN 8.0 reads 7, 1.14 reads 8: ONNX Runtime's compatibility table)."""
    newest = IR_VERSION.get(surgery.opset(graph), graph.ir_version)
    if not graph.functions:  # functions of the model's own came with format 8
        graph.ir_version = min(graph.ir_version, newest)


def _asserted(path: Path, opset: int, ir_version: int) -> None:
    """The operator set and format in the file that was written, read back: what the vendor's parser gets."""
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    written = (surgery.opset(model), model.ir_version)
    if written != (opset, ir_version):
        raise InputError(
            f"{path.name} was written in opset {written[0]} and format {written[1]}, not {opset} and {ir_version}.",
            "Report this.",
        )


def _has_unit(chain: Mapping[str, Any], inputs: tuple[Port, ...]) -> bool:
    """AIPP is for one float picture; beside gears of the picture's size the task goes on preparing it."""
    wanted = bool(chain.get("aipp")) and chain["aipp"] != "off"
    return wanted and len(inputs) == 1 and inputs[0].dtype == "float32" and None not in inputs[0].shape[1:]


def _quantising(
    graph: Any,
    task: TaskSpec,
    recipe: Recipe,
    calibration: Dataset | None,
    inputs: tuple[Port, ...],
    outputs: tuple[Port, ...],
    folder: Path,
    notes: list[str],
) -> tuple[str, ...]:
    """The command that makes the deploy model, its files written."""
    kind = recipe.quantiser["kind"]
    if kind == "convert":
        return amct.convert_command()
    if calibration is None:
        raise ConfigError("INT8 by calibration needs data.", "Give `data: {calibration: …}`.")
    data = Calibration(calibration, task, inputs, outputs, int(recipe.quantiser.get("samples", 32)))
    skipped = list(recipe.keep_float)
    if recipe.quantiser.get("skip") == "sensitive":
        ranked = sensitivity.rank(graph, data)
        skipped += [layer.name for layer in sensitivity.worst(ranked)]
        notes.append(sensitivity.sentence(ranked))
    batches = amct.write_batches(data, inputs, folder / "calibration")
    if kind == "modelslim":
        (folder / "quantise.py").write_text(amct.modelslim_script(inputs, skipped), encoding="utf-8")
        notes.append(f"msModelSlim calibrates on {batches} batches; {len(skipped)} nodes are left out (exclude_nodes).")
        return ("python3", "quantise.py")
    (folder / "amct.cfg").write_text(amct.configuration(batches, skipped), encoding="utf-8")
    notes.append(f"AMCT calibrates on {batches} batches; {len(skipped)} layers are left in FP16 (skip_layers).")
    return amct.command(inputs)
