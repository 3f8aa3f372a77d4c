"""Checks on the options alone, before any model is opened."""

from __future__ import annotations

import configparser
import json
import os
import re
from pathlib import Path

from ..chips import CHIPS
from ..vendor_error import VendorError
from .flags import FRAMEWORKS, Options

LONGEST_PATH = 4096
OUTPUT_TYPES = ("FP32", "FP16", "INT8", "INT16", "UINT16", "UINT8", "INT32", "INT64", "UINT32", "UINT64", "DOUBLE")
MIXED = {
    "allow_mix_precision",
    "allow_mix_precision_fp16",
    "allow_mix_precision_bf16",
    "mixed_float16",
    "mixed_bfloat16",
}


def check_options(options: Options) -> None:
    """Raises the first VendorError the tool would report for mode 0 or 3."""
    _check_framework(options)
    for name in ("model", "output" if options["mode"] == "0" else "model"):
        if not options[name]:
            raise VendorError("E10004", name)
    _check_input_path(options, "model")
    _check_soc(options)
    if options["mode"] == "0":
        _check_output(options)
    _check_format(options)
    _check_removed(options)
    _check_precision(options)
    for name in ("insert_op_conf", "op_precision_mode", "keep_dtype", "customize_dtypes", "modify_mixlist"):
        _check_input_path(options, name)
    for name in ("fusion_switch_file", "compression_optimize_conf"):
        _check_input_path(options, name)
    _check_output_type(options)
    if options["compression_optimize_conf"]:
        reason = "--compression_optimize_conf calibrates on a device, which the stand-in has none of; use amct_onnx"
        raise VendorError("E10055", reason)


def _check_framework(options: Options) -> None:
    if options["framework"] == "-1":
        raise VendorError("E10007", "framework", FRAMEWORKS)
    if options["framework"] == "0" and not options["weight"]:
        raise VendorError("E10008")
    if options["framework"] != "5":
        raise VendorError("E10055", "the stand-in converts ONNX models only (--framework=5)")


def _check_input_path(options: Options, name: str) -> None:
    value = options[name]
    if not value:
        return
    if len(value) > LONGEST_PATH:
        raise VendorError("E10021", name, LONGEST_PATH)
    path = Path(value)
    if not path.is_file() or not os.access(path, os.R_OK):
        raise VendorError("E10001", value, f"--{name}", f"The file [{value}] does not exist or cannot be read.")


def _check_output(options: Options) -> None:
    value = options["output"]
    if len(value) > LONGEST_PATH:
        raise VendorError("E10021", "output", LONGEST_PATH)
    if value.endswith("/") or Path(value).is_dir():
        raise VendorError("E10022", value, "output")
    if not re.fullmatch(r"[A-Za-z0-9_./\-]+", value):
        reason = "The path can contain only letters, digits, dots, hyphens, underscores and slashes."
        raise VendorError("E10001", value, "--output", reason)
    Path(value).parent.mkdir(parents=True, exist_ok=True)


def _check_soc(options: Options) -> None:
    if not options["soc_version"]:
        raise VendorError("E10054", "soc_version")
    if options["soc_version"] not in CHIPS:
        known = ", ".join(CHIPS)
        reason = f"The value is not within the range of values. The valid range is [{known}]."
        raise VendorError("E10001", options["soc_version"], "--soc_version", reason)
    cores = options["aicore_num"]
    if cores and (not cores.isdigit() or not 1 <= int(cores) <= CHIPS[options["soc_version"]].cores):
        raise VendorError("E10001", cores, "--aicore_num", "It must be from 1 to the number of cores of the chip.")


def _check_format(options: Options) -> None:
    layout = options["input_format"]
    if layout and layout not in ("NCHW", "NCDHW", "ND"):
        raise VendorError("E10001", layout, "--input_format", "The value must be NCHW, NCDHW or ND for an ONNX model.")
    if options["insert_op_conf"] and layout not in ("", "NCHW"):
        raise VendorError("E10001", layout, "--input_format", "When AIPP is used the value must be NCHW or NHWC.")


def _check_removed(options: Options) -> None:
    if options["auto_tune_mode"]:
        reason = "The Auto Tune feature has been deprecated. Please use the AOE tool for tuning."
        raise VendorError("E10001", options["auto_tune_mode"], "--auto_tune_mode", reason)
    if options["optypelist_for_implmode"] and not options["op_select_implmode"]:
        reason = "--op_select_implmode must be set too."
        raise VendorError("E10001", options["optypelist_for_implmode"], "--optypelist_for_implmode", reason)
    if options["op_precision_mode"] and (options["op_select_implmode"] or options["optypelist_for_implmode"]):
        raise VendorError("E10047", "op_precision_mode", "op_select_implmode")
    cpu, system = options["host_env_cpu"], options["host_env_os"]
    if system and system != "linux":
        raise VendorError("E10001", system, "--host_env_os", "The value must be linux.")
    if cpu and cpu not in ("x86_64", "aarch64"):
        raise VendorError("E10001", cpu, "--host_env_cpu", "The value must be x86_64 or aarch64.")


def _check_precision(options: Options) -> None:
    first, second = options["precision_mode"], options["precision_mode_v2"]
    if first and second:
        raise VendorError("E10056", "--precision_mode", "--precision_mode_v2")
    mode = first or second
    chip = CHIPS[options["soc_version"]]
    name = "--precision_mode" if first else "--precision_mode_v2"
    if "bf" in mode and not chip.bf16:
        raise VendorError("E10001", mode, name, f"{chip.soc} does not compute in bfloat16.")
    if "hif8" in mode:
        raise VendorError("E10001", mode, name, f"{chip.soc} does not compute in hif8.")
    if options["modify_mixlist"] and mode not in MIXED:
        raise VendorError("E10001", options["modify_mixlist"], "--modify_mixlist", "It needs a mixed precision mode.")


def _check_output_type(options: Options) -> None:
    for part in filter(None, options["output_type"].split(";")):
        kind = part.rpartition(":")[2]
        if kind not in OUTPUT_TYPES:
            reason = f"The data type must be one of {', '.join(OUTPUT_TYPES)}."
            raise VendorError("E10001", options["output_type"], "--output_type", reason)


def read_mixlist(path: str) -> dict[str, dict[str, set[str]]]:
    """{"black-list": {"to-add": {…}, "to-remove": {…}}, …} of --modify_mixlist."""
    if not path:
        return {}
    try:
        content = json.loads(Path(path).read_text())
        return {
            colour: {action: set(map(str, names)) for action, names in changes.items()}
            for colour, changes in content.items()
        }
    except (ValueError, AttributeError, TypeError) as problem:
        raise VendorError("E20003", path, "modify_mixlist", problem) from None


def read_op_precision(path: str) -> dict[str, dict[str, str]]:
    """The sections of --op_precision_mode. They choose kernels on a device; the stand-in has one kernel an operator."""
    if not path:
        return {}
    parser = configparser.ConfigParser(delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    allowed = {"high_precision", "high_performance", "support_out_of_bound_index", "keep_fp16", "super_performance"}
    allowed |= {"enable_float_32_execution"}
    try:
        parser.read_string(Path(path).read_text())
    except configparser.Error as problem:
        raise VendorError("E20003", path, "op_precision_mode", str(problem).replace("\n", " ")) from None
    for section in parser.sections():
        if section not in ("ByOpType", "ByNodeName"):
            raise VendorError("E20003", path, "op_precision_mode", f"unknown section {section}")
        for name, value in parser[section].items():
            if value.split("|")[0].strip() not in allowed:
                raise VendorError("E20003", path, "op_precision_mode", f"{name}={value} is not a precision mode")
    return {section: dict(parser[section]) for section in parser.sections()}


def read_name_list(path: str) -> tuple[set[str], set[str]]:
    """(operator names, operator types) of --keep_dtype: one a line, types written as OpType::X."""
    names: set[str] = set()
    types: set[str] = set()
    for line in Path(path).read_text().splitlines() if path else ():
        word = line.strip()
        if not word or word.startswith("#"):
            continue
        if word.startswith("OpType::"):
            types.add(word.removeprefix("OpType::"))
        else:
            names.add(word)
    return names, types


def read_customised_types(path: str) -> tuple[dict[str, str], dict[str, str]]:
    """(by name, by type) of --customize_dtypes: `name::InputDtype:float16,…,OutputDtype:…`; the first type counts."""
    by_name: dict[str, str] = {}
    by_type: dict[str, str] = {}
    for line in Path(path).read_text().splitlines() if path else ():
        word = line.strip()
        if not word or word.startswith("#"):
            continue
        match = re.fullmatch(r"(OpType::)?(.+?)::(?:InputDtype|OutputDtype):(\w+).*", word)
        if match is None:
            raise VendorError("E20003", path, "customize_dtypes", f"unreadable line {word}")
        (by_type if match[1] else by_name)[match[2]] = match[3]
    return by_name, by_type
