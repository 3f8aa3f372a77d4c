"""The network that atc reads and the file that it writes: what each mode and each framework needs of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from edgewright.targets.cann.atc_rules import Fault, Machine, Settings, chip_of, converts, fault, open_to_shell

BY_SUFFIX = {".onnx": "5", ".pb": "3", ".air": "1", ".prototxt": "0", ".caffemodel": "0"}
NO_CAFFE = ("Ascend910B", "Ascend910_93", "Ascend950")
"""Chips whose products no longer take Caffe (GE --framework.md); Ascend910B itself is an older one that does."""
IGNORED_BY_MINDSPORE = (
    "input_shape", "out_nodes", "is_output_adjust_hw_layout", "input_fp16_nodes", "is_input_adjust_hw_layout",
    "op_name_map",
)  # fmt: skip
TYPES = ("FP32", "FP16", "UINT8", "INT8", "UINT16", "INT16", "UINT32", "INT32", "UINT64", "INT64", "DOUBLE")
TYPES_OF_950 = ("HIF8", "FP8E5M2", "FP8E4M3FN")
SIGNS = r"A-Za-z0-9_./\-\u4e00-\u9fff"  # the vendor's pages permit Chinese characters too


def required(settings: Settings, machine: Machine) -> Iterator[Fault]:
    """What each mode cannot do without."""
    mode = settings.get("mode", "0")
    if "help" in settings:
        return
    if converts(settings):
        yield from _network(settings)
    for name in {"1": ("om", "json"), "5": ("om", "json"), "6": ("om",)}.get(mode, ()):
        if not settings.get(name):
            yield fault(name, "error", f"--mode={mode} needs --{name}.", "atc stops with E10004.", f"Write --{name}=….")


def _network(settings: Settings) -> Iterator[Fault]:
    model = settings.get("model", "")
    if not model:
        yield fault(
            "model", "error", "--model is missing.", "There is nothing to convert (E10004).", "Write --model=…."
        )
    suffix = PurePosixPath(model).suffix.lower()
    meant = BY_SUFFIX.get(suffix, "5" if not suffix else "")
    framework = settings.get("framework", "")
    if not framework:
        remedy = f"Write --framework={meant or '5 for ONNX'}."
        why = "atc does not look into the file (E10007: 0 Caffe, 1 MindSpore, 3 TensorFlow, 5 ONNX)."
        yield fault(
            "framework", "error", "--framework is missing.", why, remedy, **({"framework": meant} if meant else {})
        )
    elif suffix in BY_SUFFIX and framework != meant and not open_to_shell(framework):
        what = f"--framework={framework} is not the framework of a {suffix} file."
        why = "atc reads the file as what the option says (E10041)."
        yield fault("framework", "error", what, why, f"Write --framework={meant}.", framework=meant)
    if (framework or meant) == "0" and not settings.get("weight"):
        yield fault(
            "weight", "error", "--weight is missing.", "Caffe needs it (E10008).", "Write --weight=….caffemodel."
        )
    if settings.get("mode", "0") == "0":
        yield from _output(settings, PurePosixPath(model).stem or "model")


def _output(settings: Settings, stem: str) -> Iterator[Fault]:
    output = settings.get("output", "")
    if not output:
        yield fault(
            "output",
            "error",
            "--output is missing.",
            "It is required (E10004).",
            f"Write --output={stem}.",
            output=stem,
        )
    elif output.endswith("/"):
        yield fault("output", "error", "--output names a folder.", "It must end in a file's name (E10022).",
                    f"Write --output={output}{stem}.", output=output + stem)  # fmt: skip
    elif output.endswith((".om", ".om2")):
        bare = output.rpartition(".")[0]
        if bare and not bare.endswith("/"):
            yield fault("output", "warning", "--output has the suffix .om.", f"atc adds one: {output}.om.",
                        f"Write --output={bare}.", output=bare)  # fmt: skip
    if not open_to_shell(output) and (wrong := sorted(set(re.sub(f"[{SIGNS}]", "", output)))):
        signs = " ".join("space" if sign.isspace() else sign for sign in wrong)
        clean = re.sub(f"[^{SIGNS}]", "_", output)
        yield fault("output", "error", f"--output has signs that atc does not take ({signs}).",
                    "Letters, digits, dots, hyphens, underscores and slashes are permitted (E10001).",
                    f"Write --output={clean}.", output=clean)  # fmt: skip


def frameworks(settings: Settings, machine: Machine) -> Iterator[Fault]:
    """What a framework cannot do, or does in silence."""
    framework, chip = settings.get("framework", ""), chip_of(settings, machine)
    if framework == "0" and chip.startswith(NO_CAFFE) and chip != "Ascend910B":
        yield fault("framework", "warning", f"Caffe models are not supported for {chip}.",
                    "The vendor no longer develops it there.", "Convert the model to ONNX.")  # fmt: skip
    if framework == "1":
        ignored = [name for name in IGNORED_BY_MINDSPORE if name in settings]
        if ignored:
            yield fault(ignored[0], "warning", f"--{', --'.join(ignored)} has no effect on an .air model.",
                        "atc converts it all the same.", "Leave it away, and export it as needed.")  # fmt: skip
        if settings.get("mode", "0") != "0":
            yield fault("mode", "error", "An .air model can only be converted (mode 0).", "Other modes do not read it.",
                        "Write --mode=0.", mode="0")  # fmt: skip


def output_types(settings: Settings, machine: Machine) -> Iterator[Fault]:
    """--output_type: one type for all outputs, or node:index:type with the nodes named in --out_nodes."""
    text = settings.get("output_type", "")
    if not text or open_to_shell(text):
        return
    known = (*TYPES, *TYPES_OF_950) if chip_of(settings, machine).startswith("Ascend950") else TYPES
    wrong = [kind for part in text.split(";") if part and (kind := part.rpartition(":")[2]) not in known]
    if wrong:
        right = {"FLOAT": "FP32", "FLOAT32": "FP32", "FLOAT16": "FP16"}.get(wrong[0].upper(), wrong[0].upper())
        change = text.replace(wrong[0], right) if right in known and len(set(wrong)) == 1 else None
        remedy = f"Write --output_type={change}." if change else "Leave it away: the model's own types are kept."
        yield fault("output_type", "error", f"--output_type has '{wrong[0][:40]}', which is no type.",
                    f"atc takes {', '.join(known)} (E10001).", remedy, output_type=change)  # fmt: skip
    elif ":" in text and not settings.get("out_nodes"):
        yield fault("output_type", "warning", "--output_type names nodes, and --out_nodes is not given.",
                    "The vendor's page wants both together.", "Write --out_nodes with the same nodes.")  # fmt: skip
