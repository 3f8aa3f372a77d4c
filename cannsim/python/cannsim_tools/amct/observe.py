"""Running the float model over the calibration data, and choosing each activation's range (IFMR)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper

from .config import LayerSettings

SAMPLES_PER_BATCH = 65536


@dataclass
class Observed:
    """What was seen of one tensor: its extremes, and a sample of its values for the search."""

    low: float = 0.0
    high: float = 0.0
    sample: list[np.ndarray] = field(default_factory=list)

    def add(self, values: np.ndarray, random: np.random.Generator) -> None:
        flat = values.reshape(-1)
        if flat.size > SAMPLES_PER_BATCH:
            flat = flat[random.integers(0, flat.size, SAMPLES_PER_BATCH)]
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))
        self.sample.append(flat.astype(np.float32))


def observe(
    model: onnx.ModelProto, tensors: list[str], batches: Iterator[dict[str, np.ndarray]]
) -> dict[str, Observed]:
    """Statistics by tensor name over all batches, from ONNX Runtime in float."""
    import onnxruntime as ort

    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    inputs = {value.name for value in model.graph.input}
    already = {value.name for value in model.graph.output}
    for name in tensors:
        if name not in inputs | already:
            extended.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = ort.InferenceSession(extended.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted = [name for name in tensors if name not in inputs]
    seen = {name: Observed() for name in tensors}
    random = np.random.default_rng(0)
    for feeds in batches:
        values = dict(zip(wanted, session.run(wanted, feeds), strict=True)) if wanted else {}
        for name in tensors:
            seen[name].add(values[name] if name in values else feeds[name], random)
    return seen


def choose_scale(seen: Observed, settings: LayerSettings, with_offset: bool) -> tuple[float, int]:
    """(scale, offset) of int8: the candidate range with the least squared error over the sample.

    IFMR as documented: the range between the percentiles, multiplied by every ratio from search_range_start to
    search_range_end; the loss is that of quantising and back.
    """
    values = np.concatenate(seen.sample)
    high = (
        min(seen.high, float(np.quantile(values, settings.max_percentile)))
        if settings.max_percentile < 1
        else seen.high
    )
    low = (
        max(seen.low, float(np.quantile(values, 1 - settings.min_percentile)))
        if settings.min_percentile < 1
        else seen.low
    )
    if settings.max_percentile >= 0.9999:  # finer than the sample can resolve: the extremes decide
        high, low = seen.high, seen.low
    high, low = max(high, 0.0), min(low, 0.0)
    if high == low:
        return 1.0, 0
    if values.size > SAMPLES_PER_BATCH:
        values = values[:: values.size // SAMPLES_PER_BATCH]
    best = (np.inf, 1.0, 0)
    count = round((settings.end - settings.start) / settings.step) + 1
    for ratio in settings.start + settings.step * np.arange(count):
        scale, offset = _grid(low * ratio, high * ratio, with_offset)
        quantised = np.clip(np.rint(values / scale) + offset, -128, 127)
        loss = float(np.square((quantised - offset) * scale - values).mean())
        best = min(best, (loss, scale, offset))
    return best[1], best[2]


def _grid(low: float, high: float, with_offset: bool) -> tuple[float, int]:
    if with_offset:
        scale = (high - low) / 255.0
        return scale, int(np.clip(-128 - round(low / scale), -128, 127))
    return max(high, -low) / 127.0, 0
