"""AMCT: calibration files, its configuration and its command. Source: the CANN guide of AMCT (ONNX), 8.0:
atlasamct_16_0152 to 0163. A calibration file is one whole batch as raw numbers; files count in lexicographic order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from edgewright.core.errors import InputError
from edgewright.core.recipe import Port
from edgewright.targets.calibration import Calibration

PREFIX = "quantised"
DEPLOYED = f"{PREFIX}_deploy_model.onnx"


def write_batches(data: Calibration, inputs: Sequence[Port], folder: Path) -> int:
    """One folder per input, `batch_0000.bin` … in each; a last batch that is not full is filled with the first
    samples. Gives the number of batches. InputError where there are no samples."""
    size = next((int(port.shape[0] or 1) for port in inputs if port.shape), 1)
    samples = list(range(len(data)))
    if not samples:
        raise InputError("There are no calibration samples.", "Give `data: {calibration: …}` a folder with files.")
    while len(samples) % size:
        samples.append(samples[len(samples) % len(data)])
    feeds = iter(data)
    first = [next(feeds) for _ in range(min(size, len(data)))]
    for at in range(0, len(samples), size):
        batch = [first[k] if k < len(first) else next(feeds) for k in samples[at : at + size]]
        for number, port in enumerate(inputs):
            place = folder / f"input_{number}"
            place.mkdir(parents=True, exist_ok=True)
            array = np.concatenate([one[port.name] for one in batch]).astype(port.dtype)
            (place / f"batch_{at // size:04d}.bin").write_bytes(np.ascontiguousarray(array).tobytes())
    return len(samples) // size


def configuration(batches: int, skip_layers: Iterable[str]) -> str:
    """The simplified configuration (prototxt). Everything not said keeps AMCT's own default."""
    lines = [f"batch_num: {batches}", "activation_offset: true"]
    lines += [f'skip_layers: "{name}"' for name in skip_layers]
    return "\n".join(lines) + "\n"


def command(inputs: Sequence[Port]) -> tuple[str, ...]:
    """`amct_onnx calibration` over files beside the model; run it in their folder."""
    shapes = ";".join(f"{port.name}:{','.join(str(n) for n in port.shape)}" for port in inputs)
    return (
        "amct_onnx", "calibration", "--model", "model.onnx", "--save_path", f"./{PREFIX}",
        "--input_shape", shapes,
        "--data_dir", ";".join(f"./calibration/input_{i}" for i in range(len(inputs))),
        "--data_types", ";".join(port.dtype for port in inputs),
        "--calibration_config", "./amct.cfg",
    )  # fmt: skip


def convert_command() -> tuple[str, ...]:
    """`amct_onnx convert` of a model that was trained with quantisation."""
    return ("amct_onnx", "convert", "--model", "model.onnx", "--save_path", f"./{PREFIX}")


MODELSLIM = '''"""Quantises model.onnx by msModelSlim, the vendor's other way in. Source of the calls: modelslim_0052
and the page QuantConfig of its documentation (exclude_nodes).

Not seen on a machine that has it: the package is not public.
"""

import glob

import numpy as np
from msmodelslim.onnx.post_training_quant import QuantConfig, run_quantize

INPUTS = {inputs!r}
EXCLUDED = {excluded!r}  # nodes that stay in float

samples = []
for number, (name, shape, dtype) in enumerate(INPUTS):
    files = sorted(glob.glob("calibration/input_%d/*.bin" % number))
    samples.append([np.fromfile(path, dtype).reshape(shape) for path in files])
run_quantize("model.onnx", "{output}", QuantConfig(
    calib_data=[list(one) for one in zip(*samples)],
    exclude_nodes=EXCLUDED,
))
'''


def modelslim_script(inputs: Sequence[Port], skip_layers: Iterable[str]) -> str:
    """`quantise.py`, run in the model's folder: the nodes of `skip_layers` stay in float."""
    described = [(port.name, tuple(port.shape), port.dtype) for port in inputs]
    values = {"{inputs!r}": repr(described), "{excluded!r}": repr(list(skip_layers)), "{output}": DEPLOYED}
    return re.sub("|".join(map(re.escape, values)), lambda found: values[found.group()], MODELSLIM)
