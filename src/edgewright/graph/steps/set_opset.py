"""set_opset: the default operator set becomes `version`, for converters that read only one.

Before: any version. After: that version (or, where allowed, the nearest one above it), the same answers. Operators
whose definition did not change but for the types it lists are relabelled, the others rewritten by a rule
(graph/opset_rules.py); what has none is refused with the operator's name. ONNX's own version converter is not used:
downwards it stops at Pow, Add and others that never changed but in their types (onnx 1.23).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgewright.core.errors import InputError
from edgewright.core.task import TaskSpec
from edgewright.graph import parity, surgery
from edgewright.graph.opset_rules import rewrite
from edgewright.graph.step import StepResult

IR_VERSION = {11: 6, 12: 7, 13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8}
"""The file format published together with each operator set (onnx/docs/Versioning.md)."""


def apply(model: Any, spec: TaskSpec, params: Mapping[str, Any]) -> StepResult:
    """`version` is wanted; with `at_most` the next ones up to it are tried where the graph cannot be said in it."""
    wanted, now = int(params["version"]), surgery.opset(model)
    last = min(int(params.get("at_most", wanted)), now)
    refusal: InputError | None = None
    for version in range(wanted, max(wanted, last) + 1):
        try:
            return _to(model, spec, version)
        except InputError as error:
            refusal = refusal or error  # what the oldest one lacks is the reason worth telling
    assert refusal is not None
    raise refusal


def _to(model: Any, spec: TaskSpec, version: int) -> StepResult:
    now = surgery.opset(model)
    if now == version:
        return StepResult(model, spec, False, f"the graph is in opset {version} already")
    changed = _changed_operators(model, now, version)
    done = _relabelled(model, version)
    for result in [node.output[0] for node in done.graph.node if node.op_type in changed]:
        # looked up anew each time: a rule may have replaced the whole list of nodes
        rewrite(done, next(node for node in done.graph.node if node.output[0] == result), version)
    if surgery.opset(done) != version:
        raise InputError(f"The graph came out in opset {surgery.opset(done)}, not {version}.", "Export it again.")
    feeds = parity.random_feeds(model)
    worst = parity.require(parity.run(model, feeds), parity.run(done, feeds), "set_opset")
    how = f"{', '.join(changed)} rewritten" if changed else "relabelled, no operator changed between them"
    return StepResult(done, spec, True, f"opset {now} → {version} ({how}), answers within {worst:.1g}")


def _changed_operators(model: Any, now: int, version: int) -> list[str]:
    """Kinds of operators whose inputs, outputs or attributes differ between the two versions."""
    import onnx

    def shape_of(kind: str, at: int) -> object:
        try:
            schema = onnx.defs.get_schema(kind, at, "")
        except onnx.defs.SchemaError:
            return None
        attributes = {name: (entry.required, _default(entry)) for name, entry in schema.attributes.items()}
        ports = [[(port.name, str(port.option)) for port in side] for side in (schema.inputs, schema.outputs)]
        return attributes, ports, schema.deprecated

    kinds = dict.fromkeys(node.op_type for node in model.graph.node if node.domain in ("", "ai.onnx"))
    return [kind for kind in kinds if _meaning(kind, shape_of(kind, now)) != _meaning(kind, shape_of(kind, version))]


_ADDED_LATER: dict[str, dict[str, int | None]] = {
    "Reshape": {"allowzero": 0},
    "BatchNormalization": {"training_mode": 0},
    "Cast": {"saturate": 1},
    "Shape": {"start": 0, "end": None},
}
"""Attributes that a later version added, with the value by which it does what the earlier one does."""


def _meaning(kind: str, schema: Any) -> object:
    if schema is None:
        return None
    attributes, ports, deprecated = schema
    kept = {name: value for name, value in attributes.items() if name not in _ADDED_LATER.get(kind, ())}
    if kind == "BatchNormalization":
        return kept, len(ports[0]), deprecated  # later versions drop outputs that only training has
    names = [[option for _, option in side] for side in ports]
    return kept, names, deprecated


def _default(entry: Any) -> str:
    return str(entry.default_value.SerializeToString(deterministic=True)) if entry.default_value.name else ""


def _relabelled(model: Any, version: int) -> Any:
    twin = surgery.copy(model)
    _stamp(twin, version)
    for node in twin.graph.node:
        for name, same in _ADDED_LATER.get(node.op_type, {}).items():
            if surgery.attribute(node, name, same) != same:
                raise InputError(
                    f"{node.op_type} {node.name} uses {name}, which opset {version} does not have.",
                    f"Export the model with opset {version}.",
                )
            surgery.replace(node.attribute, [entry for entry in node.attribute if entry.name != name])
    return twin


def _stamp(model: Any, version: int) -> None:
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = version
    model.ir_version = IR_VERSION.get(version, model.ir_version)
