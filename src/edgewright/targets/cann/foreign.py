"""Models that atc reads itself and nobody here does: TensorFlow's frozen graph, Caffe, MindSpore's AIR.

They go straight to the converter, with the shapes that the configuration gives. Without a graph that runs on a CPU
there is no float model to compare with, so this is a conversion and nothing more: no INT8, no check, no choice.
Formats by number: the CANN guide, --framework.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewright.core.errors import ConfigError, InputError
from edgewright.core.facts import Facts
from edgewright.core.model import ModelSpec
from edgewright.targets.cann import atc_command
from edgewright.targets.cann.offers import toolchain_of

FRAMEWORKS = {".pb": ("3", "NHWC"), ".prototxt": ("0", "NCHW"), ".air": ("1", "NCHW")}
PRECISIONS = {"fp16": "fp16", "origin": "origin"}


def is_foreign(spec: ModelSpec) -> bool:
    return Path(spec.source).suffix.lower() in FRAMEWORKS


def write(spec: ModelSpec, facts: Facts, options: Mapping[str, Any], folder: Path) -> dict[str, tuple[str, ...]]:
    """Copies the model into a folder per recipe; gives by recipe the lines `main atc …`, quoted for a shell.

    ConfigError where the inputs' shapes are missing (an .air file holds its own), InputError where a file is.
    """
    source = Path(spec.source)
    framework, layout = FRAMEWORKS[source.suffix.lower()]
    files = [source, *_weights(spec, framework)]
    for path in files:
        if not path.is_file():
            raise InputError(f"There is no file {path}.", "Correct `model:` in the configuration.")
    if framework != "1" and not spec.inputs:
        raise ConfigError(f"{source.name} does not tell its inputs here.", "Give model: {inputs: {NAME: [1, …]}}.")
    chain = toolchain_of(facts, options)
    lines: dict[str, tuple[str, ...]] = {}
    for recipe, mode in PRECISIONS.items():
        place = folder / recipe / "main"
        place.mkdir(parents=True, exist_ok=True)
        for path in files:
            shutil.copyfile(path, place / path.name)
        settings = {"model": source.name, "framework": framework, "output": "main"}
        if len(files) > 1:
            settings["weight"] = files[1].name
        settings["soc_version"] = str(chain["soc_version"])
        if spec.inputs:
            shapes = (f"{name}:{','.join(map(str, shape))}" for name, shape in spec.inputs.items())
            settings["input_shape"] = ";".join(shapes)
            settings["input_format"] = layout if all(len(s) == 4 for s in spec.inputs.values()) else "ND"
        settings |= {"precision_mode_v2": mode, "log": "error"}
        known = {"cann": str(chain["cann"]), "reported": str(chain.get("reported", ""))}
        words = atc_command.build(settings, soc_version=str(chain["soc_version"]), **known)
        lines[recipe] = (f"main {shlex.join(('atc', *words))}",)
    return lines


def _weights(spec: ModelSpec, framework: str) -> list[Path]:
    """Caffe keeps its weights beside the network."""
    if framework != "0":
        return []
    return [spec.weights or Path(spec.source).with_suffix(".caffemodel")]
