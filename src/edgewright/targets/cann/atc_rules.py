"""What atc refuses, ignores or no longer wants, one rule a function: each sees the settings as corrected so far.

A rule yields faults: the problem, and the changes (None: take the option away) that do what was meant. Where only the
author can know what was meant there are no changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgewright.core.command import Problem
from edgewright.core.errors import ConfigError
from edgewright.targets.cann import atc_options, soc

Settings = Mapping[str, str]
DEPLOY = "_deploy_model.onnx"
HIGH_PRECISION = {("precision_mode", "force_fp32"), ("precision_mode", "must_keep_origin_dtype")}
HIGH_PRECISION |= {("precision_mode_v2", "origin")}
DYNAMIC = ("dynamic_batch_size", "dynamic_image_size", "dynamic_dims")


@dataclass(frozen=True)
class Fault:
    problem: Problem
    changes: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Machine:
    """What is known beside the command: the version of CANN, the chip, and the name by which a device reported one that
    no table has ("" where unknown)."""

    cann: str = ""
    soc_version: str = ""
    reported: str = ""


Rule = Callable[[Settings, Machine], Iterator[Fault]]


def fault(
    option: str, severity: Literal["error", "warning", "note"], what: str, why: str, remedy: str, /,
    **changes: str | None,
) -> Fault:  # fmt: skip
    return Fault(Problem(option, severity, what, why, remedy), changes)


def converts(settings: Settings) -> bool:
    """Whether this run reads a network (mode 0) or checks one (mode 3)."""
    return settings.get("mode", "0") in ("0", "3")


def chip_of(settings: Settings, machine: Machine) -> str:
    written = settings.get("soc_version", "")
    return machine.soc_version if open_to_shell(written) or not written else written


def open_to_shell(value: str) -> bool:
    """Whether the shell fills the value in, so that nothing can be said of it ($SOC, ${OUT})."""
    return "$" in value


def values(settings: Settings, machine: Machine) -> Iterator[Fault]:
    """Values outside an option's range, options that are gone, empty values."""
    for name, value in settings.items():
        option = atc_options.options()[name]
        if open_to_shell(value):
            continue
        if option.removed:
            yield fault(
                name, "error", f"--{name} is gone.", f"{option.removed} (E10001).", "Leave it away.", **{name: None}
            )
        elif not value.strip() and name != "help":
            why = "atc takes an empty value for a missing one (E10004, E10054)."
            yield fault(name, "error", f"--{name} is empty.", why, f"Write --{name}=<value>.", **{name: None})
        elif option.values and value not in option.values:
            yield _outside(option, value)
        elif option.kind == "int" and not value.isdigit():
            why = "atc wants a whole number (E10003)."
            yield fault(name, "error", f"--{name} is '{_short(value)}'.", why, "Write a number.", **{name: None})


def _outside(option: atc_options.Option, value: str) -> Fault:
    name = option.name
    unreal = atc_options.unreal().get((name, value))
    if unreal is not None:
        return fault(name, "error", f"--{name}={value} does not exist.", unreal.why, unreal.instead, **{name: None})
    other = {"precision_mode": "precision_mode_v2", "precision_mode_v2": "precision_mode"}.get(name, "")
    what = f"--{name} is '{_short(value)}', which is none of its values."
    if other and value in atc_options.options()[other].values:
        remedy = f"Write --{other}={value}."
        return fault(
            name, "error", what, f"The value is one of --{other} (E10001).", remedy, **{name: None, other: value}
        )
    near = atc_options.nearest(value, option.values)
    code = {"log": "E10010", "framework": "E10007"}.get(name, "E10006" if option.values == ("0", "1") else "E10001")
    known = f"atc takes {', '.join(option.values)} ({code})."
    changed = near or ("error" if name == "log" else None)
    remedy = f"Write --{name}={changed}." if changed else "Leave it away."
    return fault(name, "error", what, known, remedy, **{name: changed})


def chip(settings: Settings, machine: Machine) -> Iterator[Fault]:
    """The chip must be named, and exactly."""
    written = settings.get("soc_version", "")
    if open_to_shell(written):
        return
    if written:
        yield from _named_chip(written, machine)
    elif converts(settings):
        guess = machine.soc_version or "Ascend310B4"
        why = "atc builds for exactly one chip (E10054)."
        remedy = f"Write --soc_version={guess}{'' if machine.soc_version else ', if yours is an Atlas 200I DK A2'}."
        yield fault("soc_version", "error", "--soc_version is missing.", why, remedy, soc_version=guess)


def arithmetic(settings: Settings, machine: Machine) -> Iterator[Fault]:
    """The chip must compute in what is asked for."""
    for name, value in settings.items():
        option = atc_options.options()[name]
        if not option.suits(value, chip_of(settings, machine)):
            why = f"Only chips {', '.join(option.chips[value])} compute in it."
            better = "mixed_float16" if name == "precision_mode_v2" else "allow_mix_precision"
            what = f"--{name}={value} is not for {chip_of(settings, machine)}."
            yield fault(name, "error", what, why, f"Write --{name}={better}.", **{name: better})


def _named_chip(written: str, machine: Machine) -> Iterator[Fault]:
    if re.fullmatch(r"Ascend950[A-Za-z0-9_]{0,12}", written):
        why = "It is newer than the table of names here (CANN 8.1)."
        yield fault("soc_version", "note", f"{written} cannot be checked.", why, "Compare it with npu-smi info.")
        return
    if written == "Ascend910B":
        what = "Ascend910B is the chip of the first Atlas 800, not 910B1 to 910B4."
        why = "An .om for the one does not load on the other."
        remedy = "Write the chip that `npu-smi info` prints, such as Ascend910B3, unless yours is the old one."
        yield fault("soc_version", "warning", what, why, remedy)
        return
    try:
        right = soc.checked(written, machine.reported)
    except ConfigError as error:
        right = _meant_chip(written, machine)
        why = "atc knows only names of chips (E10001)."
        remedy = error.remedy if right in error.remedy else f"{error.remedy} Corrected to {right}."
        yield fault("soc_version", "error", error.message, why, remedy, soc_version=right)
    else:
        if machine.soc_version and right != machine.soc_version:
            what = f"--soc_version is {right}, and the device is {machine.soc_version}."
            why = "An .om runs only on the chip it was built for."
            remedy = f"Write --soc_version={machine.soc_version}."
            yield fault("soc_version", "error", what, why, remedy, soc_version=machine.soc_version)


def _meant_chip(written: str, machine: Machine) -> str:
    bare = re.sub(r"^ascend[\s_-]*", "", written.strip(), flags=re.IGNORECASE).lower()
    if machine.soc_version:
        return machine.soc_version
    for name in soc.KNOWN:
        if name.removeprefix("Ascend").lower() == bare and name != "Ascend910B":
            return name
    for family, meant in soc.VAGUE.items():
        if family.removeprefix("Ascend").lower() == bare:
            return str(re.findall(r"Ascend\w+", meant)[0])
    return atc_options.nearest(f"Ascend{bare}", soc.KNOWN) or "Ascend310B4"


def together(settings: Settings, machine: Machine) -> Iterator[Fault]:
    """Options that exclude or need one another, by the table."""
    gone: set[str] = set()
    for name in settings:
        option = atc_options.options()[name]
        for other in option.excludes:
            if other in settings and not gone & {name, other}:
                keep, drop = sorted((name, other), key=lambda one: _worth(one, settings))
                gone.add(drop)
                yield _excluding(keep, drop)
        if name in gone:
            continue
        if option.needs and not any(need in settings for need in option.needs):
            need = option.needs[0]
            yield fault(name, "error", f"--{name} needs --{need}.", "atc stops without it (E10004, E10057).",
                        f"Write --{need} too.", **({} if need == "input_shape" else {name: None}))  # fmt: skip
        yield from _effect(option, settings)


def _worth(name: str, settings: Settings) -> int:
    """Of two options that exclude each other the one of lower rank stays: pictures before gears, the newer of two ways,
    the gears that say most."""
    gears = ("dynamic_dims", *DYNAMIC[:2]) if "insert_op_conf" not in settings else DYNAMIC
    order = ("insert_op_conf", "precision_mode_v2", "op_precision_mode", "input_shape", *gears)
    return order.index(name) if name in order else len(order)


def _excluding(keep: str, drop: str) -> Fault:
    pair = {keep, drop}
    code = "E10056" if "precision_mode" in pair else "E10009" if pair & set(DYNAMIC) else "E10047"
    why = f"atc takes only one of them ({code})."
    if "op_precision_mode" in pair:
        why = "Where both are given only --op_precision_mode takes effect, or atc refuses them (E10047)."
    if "insert_op_conf" in pair:
        why = "atc does not combine AIPP with dims gears (E10001)."
    what = f"--{keep} and --{drop} exclude each other."
    return fault(drop, "error", what, why, f"Keep --{keep} alone.", **{drop: None})


def _effect(option: atc_options.Option, settings: Settings) -> Iterator[Fault]:
    name = option.name
    for other, forbidding in option.never_with.items():
        if settings.get(other) in forbidding:
            what = f"--{name} has no effect under --{other}={settings[other]}."
            yield fault(
                name, "warning", what, "That mode keeps every operator's precision.", "Leave it away.", **{name: None}
            )
    if option.only_with and not any(settings.get(other) in wanted for other, wanted in option.only_with.items()):
        remedy = "Write --precision_mode_v2=mixed_float16 too."
        chosen = {"precision_mode", "precision_mode_v2"} & set(settings)
        change: dict[str, str | None] = {name: None} if chosen else {"precision_mode_v2": "mixed_float16"}
        yield fault(name, "error", f"--{name} works only under mixed precision.", "atc refuses it otherwise (E10001).",
                    remedy, **change)  # fmt: skip
    wanted = option.frameworks.get(settings.get("framework", "5"))
    if option.frameworks and wanted is None and name == "weight":
        yield fault(
            name, "warning", f"--{name} is for Caffe only.", "atc ignores it.", "Leave it away.", **{name: None}
        )


def ageing(settings: Settings, machine: Machine) -> Iterator[Fault]:
    """Options on their way out, and options newer than the toolkit."""
    for name in settings:
        option = atc_options.options()[name]
        if option.deprecated:
            instead = f" --{option.instead} replaces it." if option.instead else ""
            yield fault(name, "warning", f"--{name} is deprecated.", f"It still works; {option.deprecated}.{instead}",
                        _successor(name))  # fmt: skip
        if option.since and atc_options.older(machine.cann, option.since):
            what = f"--{name} is in the documents of CANN {option.since} and newer; yours is {machine.cann}."
            yield fault(name, "warning", what, "An older atc stops at an option it does not know.", "Leave it away.")


def _successor(name: str) -> str:
    if name in ("op_select_implmode", "optypelist_for_implmode"):
        return "Write --op_precision_mode=FILE with lines such as Sigmoid=high_performance under [ByOpType]."
    return "Write ranges in --input_shape." if name == "input_shape_range" else "Leave it away."


def quantised(settings: Settings, machine: Machine) -> Iterator[Fault]:
    """A deploy model of AMCT is INT8 already: no gears, no mode that keeps float."""
    if not settings.get("model", "").endswith(DEPLOY):
        return
    for name in DYNAMIC:
        if name in settings:
            what = f"--{name} does not go with a model quantised by AMCT."
            yield fault(name, "error", what, "INT8 needs one fixed shape (E10055).",
                        "Convert once for each shape, at the batch it was calibrated with.",
                        **{name: None, "input_shape": None})  # fmt: skip
    for name, value in settings.items():
        if (name, value) in HIGH_PRECISION:
            what = f"--{name}={value} does not go with a model quantised by AMCT."
            why = "A high-precision mode loses what INT8 gains, and gains no accuracy; the vendor rules it out."
            yield fault(name, "error", what, why, "Leave it away.", **{name: None})


def calibrated_inside(settings: Settings, machine: Machine) -> Iterator[Fault]:
    """--compression_optimize_conf: INT8 by atc itself, where a device is at hand."""
    if "compression_optimize_conf" in settings:
        yield fault("compression_optimize_conf", "warning", "Calibration inside atc needs an NPU while it converts.",
                    "On a 310B board it also needs a server of NCS (infer_ip, infer_port).",
                    "Run amct_onnx calibration instead, which needs neither.")  # fmt: skip


def pictures(settings: Settings, machine: Machine) -> Iterator[Fault]:
    """AIPP changes what the program feeds."""
    if not settings.get("insert_op_conf"):
        return
    layout = settings.get("input_format", "NCHW")
    if layout not in ("NCHW", "NHWC"):
        why = "With AIPP only NCHW and NHWC are accepted (E10001)."
        yield fault("input_format", "error", f"--input_format={layout} does not go with AIPP.", why,
                    "Leave it away.", input_format=None)  # fmt: skip
    if settings.get("dynamic_image_size"):
        yield fault("insert_op_conf", "note", "With image gears AIPP may neither crop nor pad.",
                    "Its picture has the gear's size.", "Write src_image_size_w/_h as 0.")  # fmt: skip
    if settings.get("input_fp16_nodes"):
        yield fault("input_fp16_nodes", "warning", "--input_fp16_nodes is given together with AIPP.",
                    "An input that AIPP feeds cannot be fp16 (E10034).", "Name only inputs without AIPP.")  # fmt: skip
    yield fault("insert_op_conf", "note", "With AIPP the model's input is UINT8 NHWC.",
                "Normalisation is inside then; a program that also normalises gets wrong results.",
                "Feed raw pictures, in the size that aclmdlGetInputSizeByIndex gives.")  # fmt: skip


def host(settings: Settings, machine: Machine) -> Iterator[Fault]:
    """Where the .om will run: a 310B board is linux/aarch64, the machine that converts mostly is not."""
    cpu = settings.get("host_env_cpu", "")
    if not chip_of(settings, machine).startswith("Ascend310B") or settings.get("mode", "0") != "0":
        return
    if cpu == "x86_64":
        yield fault("host_env_cpu", "warning", "--host_env_cpu=x86_64 for a 310B chip.",
                    "An Atlas 200I DK A2 is linux/aarch64; an .om bound to x86_64 does not load there.",
                    "Write --host_env_os=linux --host_env_cpu=aarch64, unless the chip sits in a PC.")  # fmt: skip
    elif not cpu:
        yield fault("host_env_cpu", "note", "The .om may be bound to the processor of the machine that converts.",
                    "It is called <output>_linux_x86_64.om then, and a board (aarch64) does not load it.",
                    "If that happens, add --host_env_os=linux --host_env_cpu=aarch64.")  # fmt: skip


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
