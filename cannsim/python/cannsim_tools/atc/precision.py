"""Which precision each operator is computed in, from the precision options."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from .flags import Options
from .operators import BLACK, CUBE, WHITE, cann_type
from .option_checks import read_customised_types, read_mixlist, read_name_list

HALF, FLOAT, BFLOAT = "fp16", "fp32", "bf16"
HALF_IN = "fp16in"  # cube operators only: fp16 operands, fp32 result
INT8 = "int8"  # operands come quantised, the result is stored in fp16
V2_TO_V1 = {
    "fp16": "force_fp16",
    "origin": "must_keep_origin_dtype",
    "cube_fp16in_fp32out": "cube_fp16in_fp32out",
    "mixed_float16": "allow_mix_precision",
    "mixed_bfloat16": "allow_mix_precision_bf16",
}


def effective_mode(options: Options) -> str:
    if options["precision_mode_v2"]:
        return V2_TO_V1[options["precision_mode_v2"]]
    mode = options["precision_mode"] or "force_fp16"
    return "allow_mix_precision" if mode == "allow_mix_precision_fp16" else mode


@dataclass(frozen=True)
class Lists:
    white: set[str]
    black: set[str]


def _mixed_lists(path: str) -> Lists:
    """The built-in lists, changed by --modify_mixlist; both ONNX's and CANN's operator names are understood."""
    white, black = set(WHITE), set(BLACK)
    changes = read_mixlist(path)
    for colour, names in (("white-list", white), ("black-list", black)):
        names |= changes.get(colour, {}).get("to-add", set())
        removed = changes.get(colour, {}).get("to-remove", set())
        names -= removed | {name for name in names if cann_type(name) in removed}
    return Lists(white, black)


def plan(model: onnx.ModelProto, options: Options, already_half: bool) -> dict[str, str]:
    """Precision by node name. A model exported in fp16 stays so, whatever the mode, unless fp32 is forced."""
    mode = effective_mode(options)
    if already_half and mode != "force_fp32":
        mode = "force_fp16"
    lists = _mixed_lists(options["modify_mixlist"])
    keep_names, keep_types = read_name_list(options["keep_dtype"])
    by_name, by_type = read_customised_types(options["customize_dtypes"])
    chosen: dict[str, str] = {}
    made_by = {output: node.name for node in model.graph.node for output in node.output}
    for node in model.graph.node:
        kinds = {node.op_type, cann_type(node.op_type)}
        before = [chosen[made_by[name]] for name in node.input if name in made_by]
        precision = _by_mode(mode, node, kinds, before, lists)
        if mode not in ("must_keep_origin_dtype",) and (node.name in keep_names or kinds & keep_types):
            precision = FLOAT
        custom = by_name.get(node.name) or next((by_type[kind] for kind in kinds if kind in by_type), None)
        if custom:
            precision = {"float16": HALF, "bfloat16": BFLOAT}.get(custom, FLOAT)
        chosen[node.name] = precision
    return chosen


def _by_mode(mode: str, node: onnx.NodeProto, kinds: set[str], before: list[str], lists: Lists) -> str:
    cube = node.op_type in CUBE
    if mode in ("force_fp32", "must_keep_origin_dtype"):
        return FLOAT
    if mode == "cube_fp16in_fp32out":
        return HALF_IN if cube else FLOAT
    if mode in ("allow_fp32_to_fp16", "allow_fp32_to_bf16"):
        # What has an fp32 kernel keeps fp32; the cube unit of these chips has none.
        return (HALF if mode.endswith("fp16") else BFLOAT) if cube else FLOAT
    if mode in ("allow_mix_precision", "allow_mix_precision_bf16"):
        narrow = BFLOAT if mode.endswith("bf16") else HALF
        if kinds & lists.black:
            return FLOAT
        if kinds & lists.white:
            return narrow
        return narrow if before and all(one == narrow for one in before) else FLOAT  # gray follows what feeds it
    return HALF
