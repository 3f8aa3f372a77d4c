"""Commands of atc: built from settings, and hand-written ones reviewed, both by one table and one set of rules.

What `build` gives, `review` finds no error in; what `review` corrects, it reviews again before it says so.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from edgewright.core.command import CommandReview, Problem
from edgewright.core.errors import ConfigError
from edgewright.core.plugs import did_you_mean
from edgewright.targets.cann import atc_network, atc_options, atc_rules, soc
from edgewright.targets.cann.atc_line import Line, parse
from edgewright.targets.cann.atc_rules import DEPLOY, Fault, Machine, Rule, fault
from edgewright.targets.cann.atc_shapes import read as read_shapes
from edgewright.targets.cann.atc_shapes import shapes, written

RULES: tuple[Rule, ...] = (
    atc_rules.values, atc_rules.chip, atc_rules.arithmetic, atc_network.required, atc_network.frameworks,
    atc_rules.together, atc_rules.quantised, shapes, atc_network.output_types, atc_rules.calibrated_inside,
    atc_rules.pictures, atc_rules.ageing, atc_rules.host,
)  # fmt: skip


def build(settings: Mapping[str, str], *, soc_version: str, cann: str, reported: str = "") -> tuple[str, ...]:
    """The words after `atc`, in the order of the table. `settings` maps option names (no dashes) to values, without
    soc_version; `reported` is the chip's name by the device's own word. ConfigError for the first thing the table
    refuses."""
    given = {**settings, "soc_version": soc.checked(soc_version, reported)}
    if soc.checked(settings.get("soc_version", soc_version), reported) != given["soc_version"]:
        raise ConfigError("soc_version is given twice, and differs.", "Give it once.")
    for name, value in given.items():
        if name not in atc_options.options():
            known = tuple(atc_options.options())
            raise ConfigError(f"atc has no option '{name}'.", did_you_mean(name, known) if len(name) < 40 else "")
        if any(c < " " for c in value):
            raise ConfigError(f"The value of --{name} has control characters.", "Write it without.")
        if atc_rules.open_to_shell(value) and atc_options.options()[name].kind not in ("file", "path"):
            raise ConfigError(f"The value of --{name} has a `$`, and no shell will fill it in.", "Write the value.")
    machine = Machine(cann, given["soc_version"], reported)
    for rule in RULES:
        for one in rule(given, machine):
            if one.problem.severity == "error":
                raise ConfigError(f"{one.problem.what} {one.problem.why}", one.problem.remedy)
    return tuple(f"--{name}={given[name]}" for name in atc_options.options() if name in given)


def review(text_or_argv: str | Sequence[str], *, cann: str = "", soc_version: str = "") -> CommandReview:
    """Every mistake of a hand-written command, and the command that does what was meant.

    `cann` and `soc_version` are the toolkit's and the device's, where they are known. InputError where the text is no
    atc command at all.
    """
    line = parse(text_or_argv)
    machine = Machine(cann, soc.checked(soc_version) if soc_version else "")
    problems = list(line.problems)
    settings = dict(line.settings)
    wants_int8 = False
    for name, value in line.unknown.items():
        one, int8 = _unknown(name, value)
        wants_int8 |= int8
        _take(one, problems, settings)
    wants_int8 |= any(
        row.int8 and settings.get(option) == value for (option, value), row in atc_options.unreal().items() if value
    )
    for rule in RULES:
        for one in list(rule(dict(settings), machine)):
            _take(one, problems, settings)
    calibration = _calibration(settings) if wants_int8 and settings.get("model") else ""
    if calibration:
        _use_deploy_model(settings, machine)
        problems.append(_int8(settings))
    elif "int8" in settings.get("output", "").lower() and not settings.get("model", "").endswith(DEPLOY):
        problems.append(_named_int8())
    complete = not any(one.problem.severity == "error" for rule in RULES for one in rule(settings, machine))
    corrected = _written(line, settings)
    return CommandReview(
        tuple(_sorted(problems)), f"{calibration}\n{corrected}" if calibration else corrected, complete
    )


def _take(one: Fault, problems: list[Problem], settings: dict[str, str]) -> None:
    problems.append(one.problem)
    for name, value in one.changes.items():
        if value is None:
            settings.pop(name, None)
        else:
            settings[name] = value


def _unknown(name: str, value: str) -> tuple[Fault, bool]:
    """The fault of an option that atc lacks, and whether it shows that INT8 was wanted."""
    row = atc_options.unreal().get((name.replace("-", "_"), ""))
    what = f"--{name[:60]} does not exist."
    if row is not None:
        changes = {row.rename: value} if row.rename else {}
        return fault(name, "error", what, row.why, row.instead, **changes), row.int8
    several = atc_options.beginning_with(name)
    if len(several) > 1:
        why = f'It may mean {", ".join(f"--{one}" for one in several[:4])}; atc stops with "unknown command line flag".'
        return fault(name, "error", f"--{name} is ambiguous.", why, "Write the whole name."), False
    near = atc_options.nearest(name.replace("-", "_"), tuple(atc_options.options()))
    why = 'atc stops with "unknown command line flag".'
    changes = {near: value} if near else {}
    return fault(name, "error", what, why, f"Write --{near}." if near else "Leave it away.", **changes), False


def _calibration(settings: Mapping[str, str]) -> str:
    """The amct_onnx command that makes the INT8 model, from what the atc command says."""
    model = settings["model"]
    if not model.endswith(".onnx") or model.endswith(DEPLOY):
        return ""
    words = [f"amct_onnx calibration --model {_quoted(model)}", f"--save_path {_quoted(_prefix(settings))}"]
    if shape := _calibration_shape(settings.get("input_shape", "")):
        words.append(f"--input_shape {_quoted(shape)}")
    words += ["--data_dir ./calibration/", "--data_types float32", "--batch_num 1"]
    return " \\\n    ".join(words)


def _calibration_shape(text: str) -> str:
    """`text` with a 1 for each -1: calibration is at one fixed shape."""
    dims = read_shapes(text) if "-1" in text else None
    if dims is None:
        return text
    return written({name: [1 if figure == -1 else figure for figure in figures] for name, figures in dims.items()})


def _prefix(settings: Mapping[str, str]) -> str:
    name = settings.get("output") or PurePosixPath(settings["model"]).stem
    return name if "/" in name else f"./{name}"


def _use_deploy_model(settings: dict[str, str], machine: Machine) -> None:
    settings["model"] = f"{_prefix(settings)}{DEPLOY}".removeprefix("./")
    for one in list(atc_rules.quantised(dict(settings), machine)):
        for name in one.changes:
            settings.pop(name, None)


def _int8(settings: Mapping[str, str]) -> Problem:
    what = "INT8 needs a step before atc."
    why = "AMCT measures the ranges on calibration data and writes the INT8 model, which plain atc then converts."
    free = "" if settings.get("input_shape") else ", with --input_shape if the model's inputs have free dimensions"
    remedy = f"Put .bin files of one whole batch each into ./calibration/ and run both commands{free}."
    return Problem("", "note", what, why, remedy)


def _named_int8() -> Problem:
    what = "The output is called INT8, and nothing in the command makes INT8."
    why = "atc keeps fp16 unless the model comes from AMCT (*_deploy_model.onnx)."
    return Problem("output", "note", what, why, "Run amct_onnx calibration first, or choose another name.")


def _written(line: Line, settings: Mapping[str, str]) -> str:
    """The command, one option a line, quoted for a shell."""
    words = [f"--{name}={_quoted(settings[name])}" for name in atc_options.options() if name in settings]
    head = " ".join([*(_quoted(word) for word in line.before), _quoted(line.program)])
    return " \\\n    ".join([head, *words])


def _quoted(value: str) -> str:
    """As shlex does, but what the shell shall fill in ($HOME, ${SOC}) stays open to it."""
    if "$" in value and not any(sign in value for sign in '`"\\!('):
        return f'"{value}"'
    return shlex.quote(value)


def _sorted(problems: list[Problem]) -> list[Problem]:
    order = {"error": 0, "warning": 1, "note": 2}
    return sorted(dict.fromkeys(problems), key=lambda problem: order[problem.severity])
