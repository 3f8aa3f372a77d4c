"""The steps of a classifier, from what its source knows of it and what the user sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgewright.core.errors import InputError
from edgewright.core.model import Model, Step
from edgewright.core.task import TaskSpec
from edgewright.device.steps import POSTPROCESS, PREPROCESS
from edgewright.tasks.class_names import class_names
from edgewright.tasks.model_input import image_input, to_tensor
from edgewright.tasks.step_options import configured_steps

DEFAULT_SIZE = 224
TOP = 5


def classification_spec(model: Model, options: Mapping[str, Any]) -> TaskSpec:
    """TaskSpec of a classifier. InputError where the first output is no list of classes."""
    preprocess = configured_steps(options.get("preprocess"), PREPROCESS, "preprocess")
    postprocess = configured_steps(options.get("postprocess"), POSTPROCESS, "postprocess")
    count = _class_count(model)
    labels = class_names(options.get("labels"), model.hints.labels, count)
    if not labels:
        raise InputError("The model does not say how many classes it has.", "Set `task.labels`.")
    return TaskSpec(
        kind="classification",
        preprocess=preprocess or model.hints.preprocess or _preprocess(model),
        postprocess=postprocess or model.hints.postprocess or _postprocess(model),
        labels=labels,
        notes=model.hints.notes,
    )


def _class_count(model: Model) -> int | None:
    shape = model.outputs[0].shape if model.outputs else ()
    sizes = [n for n in shape[1:] if n != 1]
    if len(shape) < 2 or len(sizes) > 1:
        raise InputError(
            f"The output {'×'.join(map(str, shape)) or 'of no shape'} is no list of classes (1×classes).",
            "Set `task: {kind: tensors}` for a model of other outputs.",
        )
    size = sizes[0] if sizes else 1
    return size if isinstance(size, int) else None


def _preprocess(model: Model) -> tuple[Step, ...]:
    """Where nothing is known: stretched to the input's size, 0 to 1, RGB (gray for one channel)."""
    image = image_input(model, DEFAULT_SIZE)
    return (Step("resize", {"size": image.size, "keep_ratio": False}), *to_tensor(image, order="rgb", factor=1 / 255))


def _postprocess(model: Model) -> tuple[Step, ...]:
    role = model.outputs[0].name
    kind = "identity" if _ends_in_softmax(model) else "softmax"
    return Step(kind, {"role": role}), Step("top_k", {"k": TOP})


def _ends_in_softmax(model: Model) -> bool:
    """Whether the graph gives probabilities itself."""
    import onnx

    graph = onnx.load(str(model.path), load_external_data=False).graph
    makers = {name: node for node in graph.node for name in node.output}
    name = graph.output[0].name
    for _ in range(4):  # a reshape or cast may follow
        node = makers.get(name)
        if node is None:
            return False
        if node.op_type in ("Softmax", "Sigmoid"):
            return True
        if node.op_type not in ("Reshape", "Flatten", "Squeeze", "Identity", "Cast"):
            return False
        name = node.input[0]
    return False
