"""The options of atc as data, and the parser of its command line (getopt_long: `=` or space, unambiguous prefixes)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..vendor_error import VendorError

FRAMEWORKS = "0(Caffe) or 1(MindSpore) or 3(TensorFlow) or 5(Onnx)"


@dataclass(frozen=True)
class Flag:
    name: str
    default: str = ""
    values: tuple[str, ...] = ()
    kind: str = "string"  # string, int, bool
    text: str = ""


def _flag(name: str, default: str = "", values: str = "", kind: str = "string", text: str = "") -> Flag:
    return Flag(name, default, tuple(values.split()), kind, text)


ZERO_ONE = "0 1"
FLAGS = {
    flag.name: flag
    for flag in (
        _flag("help", "false", kind="bool", text="show this help message"),
        _flag(
            "mode",
            "0",
            "0 1 3 5 6 7 30",
            "int",
            "0: model to om (default), 1: model to json, 3: only pre-check, 5: txt to json, 6: display model info",
        ),
        _flag("model", text="Model file"),
        _flag("weight", text="Weight file. Required when framework is Caffe"),
        _flag("om", text="The model file to be converted to json"),
        _flag("json", text="The output json file"),
        _flag("framework", "-1", "0 1 3 5", "int", "Framework type. 0: Caffe; 1: MindSpore; 3: TensorFlow; 5: ONNX"),
        _flag("input_format", text="Format of input data. ONNX: NCHW (default), NCDHW, ND"),
        _flag(
            "input_shape",
            text='Shape of static input, or shape range: "input_name1:n1,c1,h1,w1;input_name2:n2,c2,h2,w2"',
        ),
        _flag("input_shape_range", text="Deprecated; use input_shape"),
        _flag("input_hint_shape", text="Shape hint of input data"),
        _flag("dynamic_batch_size", text='Batch gears, E.g.: "1,2,4"'),
        _flag("dynamic_image_size", text='Image gears, E.g.: "416,416;640,640"'),
        _flag("dynamic_dims", text='Dimension gears, E.g.: "1,128;4,128"'),
        _flag("singleop", text="Single op definition file (absent from the stand-in)"),
        _flag("output", text="Output file path and name, without suffix"),
        _flag("output_type", text='Net output data type: FP32, FP16, UINT8, INT8, or "node:0:FP16"'),
        _flag("check_report", "check_result.json", text="The pre-checking report file"),
        _flag("soc_version", text="The soc version"),
        _flag("virtual_type", "0", ZERO_ONE),
        _flag("core_type", "AiCore", "AiCore VectorCore"),
        _flag("aicore_num"),
        _flag("out_nodes", text='Output nodes: "node_name1:0;node_name1:1"'),
        _flag("input_fp16_nodes", text='Inputs of type fp16: "node_name1;node_name2"'),
        _flag("insert_op_conf", text="AIPP configuration file"),
        _flag("op_name_map"),
        _flag("is_input_adjust_hw_layout"),
        _flag("is_output_adjust_hw_layout"),
        _flag("external_weight", "0", "0 1 2"),
        _flag("disable_reuse_memory", "0", ZERO_ONE),
        _flag("fusion_switch_file", text="Fusion switch file"),
        _flag("enable_scope_fusion_passes"),
        _flag("enable_single_stream"),
        _flag("enable_small_channel", "0", ZERO_ONE, text="1: small channel is enabled"),
        _flag("enable_compress_weight", "false"),
        _flag("enable_attr_compression", "true"),
        _flag("compress_weight_conf"),
        _flag("compression_optimize_conf", text="Calls AMCT inside atc; needs a device"),
        _flag("buffer_optimize", "l2_optimize", "l1_optimize l2_optimize off_optimize"),
        _flag("mdl_bank_path"),
        _flag("op_bank_path"),
        _flag(
            "precision_mode",
            "",
            "force_fp16 force_fp32 cube_fp16in_fp32out allow_mix_precision allow_fp32_to_fp16 must_keep_origin_dtype "
            "allow_mix_precision_fp16 allow_mix_precision_bf16 allow_fp32_to_bf16",
            text="Precision mode: force_fp16 (default) …",
        ),
        _flag(
            "precision_mode_v2",
            "",
            "fp16 origin cube_fp16in_fp32out mixed_float16 mixed_bfloat16 cube_hif8 mixed_hif8",
            text="Precision mode v2: fp16 (default) …",
        ),
        _flag("op_precision_mode", text="Operator precision mode configuration file"),
        _flag("allow_hf32"),
        _flag(
            "op_select_implmode", "", "high_precision high_performance high_precision_for_all high_performance_for_all"
        ),
        _flag("optypelist_for_implmode"),
        _flag("keep_dtype", text="Operators that keep the precision they have"),
        _flag("customize_dtypes", text="Operator data types"),
        _flag("modify_mixlist", text="Black and white lists of mixed precision"),
        _flag("auto_tune_mode"),
        _flag("is_weight_clip", "1", ZERO_ONE),
        _flag("op_compiler_cache_dir"),
        _flag("op_compiler_cache_mode", "disable", "enable disable force"),
        _flag("display_model_info", "0", ZERO_ONE),
        _flag("debug_dir"),
        _flag("op_debug_level", "0", "0 1 2 3 4", "int"),
        _flag("op_debug_config"),
        _flag("save_original_model"),
        _flag("log", "null", "debug info warning error null", text="Log level"),
        _flag("dump_mode", "0", ZERO_ONE),
        _flag("device_id", "0"),
        _flag("jit_compile", "1", "0 1 2"),
        _flag("optimization_switch"),
        _flag("atomic_clean_policy", "0", ZERO_ONE),
        _flag("deterministic", "0", ZERO_ONE),
        _flag("deterministic_level", "0", "0 1 2 3"),
        _flag("host_env_os", "", ""),
        _flag("host_env_cpu", "", ""),
        _flag("status_check", "0", ZERO_ONE),
        _flag("sparsity", "0", ZERO_ONE),
        _flag("quant_dumpable"),
        _flag("oo_level", "O3"),
        _flag("export_compile_stat", "1", "0 1 2"),
        _flag("tiling_schedule_optimize", "0", ZERO_ONE),
        _flag("ac_parallel_enable", "0", ZERO_ONE),
        _flag("cluster_config"),
        _flag("target"),
        _flag("cal_conf"),
    )
}
ONE_OR_ZERO = {"status_check", "deterministic", "external_weight", "display_model_info", "atomic_clean_policy"}
ONE_OR_ZERO |= {"dump_mode", "disable_reuse_memory", "sparsity"}


class CommandLineError(Exception):
    """The line cannot be taken apart; the message is what goes to stderr after `ERROR: `."""


@dataclass
class Options:
    """Values by option name, defaults filled in; `given` are those the user wrote."""

    values: dict[str, str]
    given: set[str] = field(default_factory=set)

    def __getitem__(self, name: str) -> str:
        return self.values[name]


def parse(arguments: list[str]) -> Options:
    """CommandLineError for a line that is none; VendorError for a value outside its range."""
    options = Options({flag.name: flag.default for flag in FLAGS.values()})
    stray: list[str] = []
    if not arguments:
        raise CommandLineError("input argument value is empty or command line format is invalid")
    at = 0
    while at < len(arguments):
        word = re.sub(r"^-(?=[A-Za-z]{2,})", "--", arguments[at])
        at += 1
        if word == "-h":
            word = "--help"
        if not word.startswith("--") or word == "--":
            stray.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        flag = _find(name)
        if flag.kind == "bool":
            value = value if equals else "true"
        elif not equals:
            if at == len(arguments):
                raise CommandLineError(f"flag '{name}' is missing its argument")
            value = arguments[at]
            at += 1
        _check_value(flag, value)
        options.values[flag.name] = value
        options.given.add(flag.name)
    if stray:
        raise CommandLineError("\nERROR: ".join(f"Non-option parameter: {word}" for word in stray))
    return options


def _find(name: str) -> Flag:
    name = name.replace("-", "_")
    if name in FLAGS:
        return FLAGS[name]
    starting = [flag for key, flag in FLAGS.items() if key.startswith(name)]
    if name and len(starting) == 1:
        return starting[0]
    raise CommandLineError(f"unknown command line flag '{name}'")


def _check_value(flag: Flag, value: str) -> None:
    if flag.values and value not in flag.values:
        if flag.name in ONE_OR_ZERO:
            raise VendorError("E10006", value, flag.name)
        if flag.name == "log":
            raise VendorError("E10010", value)
        if flag.name == "framework":
            raise VendorError("E10007", "framework", FRAMEWORKS)
        allowed = "".join(f"[{item}] " for item in sorted(flag.values))
        reason = f"The value is not within the range of values. The valid range is {allowed}."
        raise VendorError("E10001", value, f"--{flag.name}", reason)
    if flag.kind == "int" and not value.isdigit():
        raise VendorError("E10003", value, flag.name, "The value type must be [int32].")
    if flag.kind == "bool" and value.lower() not in ("", "1", "t", "true", "y", "yes", "0", "f", "false", "n", "no"):
        raise VendorError("E10003", value, flag.name, "The value type must be [bool].")


def usage() -> str:
    lines = [
        "usage: atc <args>",
        "(cannsim: a stand-in on a CPU; what it converts runs only on the stand-in)",
        "generate offline model example:",
        "atc --model=./resnet50.onnx --framework=5 --output=./domi --soc_version=<soc_version>",
        "arguments explain:",
    ]
    lines += [f"  --{flag.name:<28} {flag.text or '(accepted)'}" for flag in FLAGS.values()]
    return "\n".join(lines)
