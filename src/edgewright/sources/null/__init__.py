"""A tiny network made in memory, for pipelines that should run with no files; see README.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgewright.core.errors import InputError
from edgewright.core.model import LoadedModel, Model, ModelSpec, Role, Step, TaskHints
from edgewright.sources.model_file import save_model
from edgewright.sources.parity import unchecked

SIZE, CLASSES, FEATURES = 32, 4, 8


class NullSource:
    """`source: null`: one convolution, a global maximum, one matrix product; the same weights every time."""

    name = "null"

    def matches(self, spec: ModelSpec) -> bool:
        return spec.source == "null" and spec.format in ("", self.name)

    def load(self, spec: ModelSpec) -> LoadedModel:
        """The network in memory. InputError where `inputs:` asks for another shape than 1×3×32×32."""
        shape = (1, 3, SIZE, SIZE)
        if any(name != "images" or tuple(wanted) != shape for name, wanted in spec.inputs.items()):
            raise InputError("The null model has one input, images, of shape [1, 3, 32, 32].", "Leave `inputs:` out.")
        labels = spec.labels or tuple(f"class{i}" for i in range(CLASSES))
        if len(labels) != CLASSES:
            raise InputError(f"{len(labels)} labels were given, but the null model has {CLASSES}.", "Leave them out.")
        hints = TaskHints(
            kind="classification",
            labels=labels,
            preprocess=(
                Step("resize", {"size": [SIZE, SIZE], "keep_ratio": False}),
                Step("colour", {"order": "rgb"}),
                Step("scale", {"factor": 1 / 255}),
                Step("layout", {"to": "NCHW"}),
            ),
            postprocess=(Step("softmax", {"role": "logits"}), Step("top_k", {"k": CLASSES})),
        )
        example = {"images": np.random.default_rng(0).random(shape, np.float32)}
        weights = _weights()
        count = sum(array.size for array in weights.values())
        return LoadedModel(spec, self.name, hints, weights, example=example, parameters=count)

    def to_onnx(self, loaded: LoadedModel, opset: int, folder: Path) -> dict[Role, Model]:
        proto = _graph(loaded.content, opset)
        parity = unchecked("the model was made as ONNX")
        return {"main": save_model(proto, folder, source=self.name, opset=opset, hints=loaded.hints, parity=parity)}


def _weights() -> dict[str, Any]:
    rng = np.random.default_rng(42)
    return {
        "conv.weight": rng.standard_normal((FEATURES, 3, 3, 3)).astype(np.float32) * 0.3,
        "conv.bias": rng.standard_normal(FEATURES).astype(np.float32) * 0.1,
        "fc.weight": rng.standard_normal((FEATURES, CLASSES)).astype(np.float32),
    }


def _graph(weights: dict[str, Any], opset: int) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    if not 9 <= opset <= 24:
        raise InputError(f"The null model cannot be written in opset {opset}.", "Ask for 9 to 24; 17 is usual.")
    convolve = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["images", "conv.weight", "conv.bias"], ["conv"], name="/conv", **convolve),
        helper.make_node("GlobalMaxPool", ["conv"], ["pool"], name="/pool"),
        helper.make_node("Flatten", ["pool"], ["features"], name="/features", axis=1),
        helper.make_node("MatMul", ["features", "fc.weight"], ["logits"], name="/logits"),
    ]
    graph = helper.make_graph(
        nodes,
        "null",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="edgewright")
    proto.ir_version = helper.find_min_ir_version_for(list(proto.opset_import), ignore_unknown=True)
    return proto


MEMBER = NullSource()
