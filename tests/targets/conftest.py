"""A small image detector with its calibration pictures, and what builds and runs a recipe of it."""

from __future__ import annotations

from collections.abc import Callable

import detectors
import numpy as np
import onnx
import pytest

from edgewright import targets
from edgewright.core.facts import Facts
from edgewright.core.model import Model, Step, TensorSpec
from edgewright.core.recipe import Recipe
from edgewright.core.task import Dataset, Sample, TaskSpec
from edgewright.device.service import Service
from edgewright.pipeline.assemble import assemble

FACTS = Facts("here", "any", cores=2, threads=2, isa=("avx512_vnni",), peaks={"fp32": 1e2, "bf16": 2e2, "int8": 4e2})
DETECTION = TaskSpec(
    kind="detection",
    preprocess=(
        Step("letterbox", {"size": [64, 64]}),
        Step("scale", {"factor": 1 / 255}),
        Step("layout", {"to": "NCHW"}),
    ),
    postprocess=(Step("yolov5_flat", {"role": "output0"}), Step("nms", {"class_wise": True}), Step("unletterbox")),
    labels=("a", "b", "c"),
    serve={"confidence": 0.3, "iou": 0.45, "max_detections": 100, "multi_label": 0},
    metric={"confidence": 0.001, "iou": 0.6, "max_detections": 100, "multi_label": 1},
)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Twelve pictures of coloured noise in blocks, written as PNG."""
    import cv2

    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    samples = []
    for i in range(12):
        small = random.integers(0, 256, (8, 12, 3)).astype(np.uint8)
        path = folder / f"{i}.png"
        cv2.imwrite(str(path), cv2.resize(small, (96, 64), interpolation=cv2.INTER_NEAREST))
        samples.append(Sample(str(i), path))
    return Dataset("pictures", tuple(samples), False, "0")


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Model:
    path = tmp_path_factory.mktemp("detector") / "model.onnx"
    onnx.save(detectors.yolov5(), str(path))
    inputs, outputs = (
        (TensorSpec("images", "float32", (1, 3, 64, 64)),),
        (TensorSpec("output0", "float32", (1, 160, 8)),),
    )
    return Model(path, "detector", inputs, outputs, 17)


@pytest.fixture(scope="session")
def service(
    detector: Model, pictures: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], tuple[Recipe, Service]]:
    """(family, recipe's name) → the recipe and its service, built once."""
    made: dict[tuple[str, str], tuple[Recipe, Service]] = {}

    def make(family: str, name: str) -> tuple[Recipe, Service]:
        if (family, name) not in made:
            member = targets.get(family)
            ladder = {r.name: r for r in member.offers(detector, DETECTION, FACTS, {}, True)}
            folder = tmp_path_factory.mktemp(f"{family}-{name}")
            result = member.build({"main": detector}, DETECTION, ladder[name], pictures, folder)
            assemble(result.service, folder)
            made[family, name] = ladder[name], Service(str(folder))
        return made[family, name]

    return make
