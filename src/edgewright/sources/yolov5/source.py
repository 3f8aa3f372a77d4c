"""The source: a YOLOv5 `.pt` checkpoint in, an ONNX graph (and, where torch is, a torch program) out."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.core.model import LoadedModel, Model, ModelSpec, Parity, Role, Step, TaskHints
from edgewright.core.plugs import did_you_mean
from edgewright.sources.labels import labels_for
from edgewright.sources.model_file import save_model
from edgewright.sources.parity import check_parity, differs, run_graph, unchecked
from edgewright.sources.program import save_program, torch_is_here
from edgewright.sources.yolov5.checkpoint import Checkpoint, read_checkpoint
from edgewright.sources.yolov5.onnx_graph import INPUT, OUTPUT, WrittenGraph, check_shape, write_graph

DEFAULT_SIZE = 640


class YoloV5Source:
    """Checkpoints of YOLOv5 v5.0–v7.0, read without running anything in them."""

    name = "yolov5"

    def matches(self, spec: ModelSpec) -> bool:
        """A `.pt` or `.pth` file that is not a TorchScript program (those are zip files with code inside)."""
        path = Path(spec.source)
        if spec.format not in ("", self.name) or path.suffix.lower() not in (".pt", ".pth") or spec.weights:
            return False
        try:
            with zipfile.ZipFile(path) as archive:
                return not any("/code/" in name for name in archive.namelist()[:2000])
        except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
            return True  # load() says what is wrong with it

    def load(self, spec: ModelSpec) -> LoadedModel:
        """The checkpoint in memory; `module` is there where torch is. Errors are those of `read_checkpoint`."""
        checkpoint = read_checkpoint(Path(spec.source))
        shape, _ = _input_shape(spec, checkpoint)
        return LoadedModel(
            spec=spec,
            source=self.name,
            hints=_hints(spec, checkpoint, shape),
            content=checkpoint,
            module=torch_module_of(checkpoint) if torch_is_here() else None,
            example={INPUT: np.random.default_rng(0).random((1, *shape[1:]), np.float32)},
            parameters=_trainable(checkpoint),
        )

    def to_onnx(self, loaded: LoadedModel, opset: int, folder: Path) -> dict[Role, Model]:
        """`folder`/model.onnx (and model.pt2). The batch stays open unless `inputs:` fixes it above 1."""
        checkpoint: Checkpoint = loaded.content
        shape, dynamic = _input_shape(loaded.spec, checkpoint)
        graph = write_graph(checkpoint.architecture, checkpoint.weights, shape, opset=opset, dynamic_batch=dynamic)
        _describe(graph.proto, loaded.hints, shape)
        example = np.repeat(np.asarray(loaded.example[INPUT]), shape[0], 0)
        parity, program = unchecked("torch is absent"), None
        if loaded.module is not None:
            parity = _parity(graph, loaded.module, example)
            # Two samples, because torch takes an axis of one for fixed; the batch then stays open.
            pair = _tensor(np.repeat(example, 2, 0) if dynamic else example)
            axes = [[0]] if dynamic else ()
            program = save_program(loaded.module, [pair], folder, open_axes=axes, variadic=False)
        model = save_model(
            graph.proto,
            folder,
            source=self.name,
            opset=opset,
            hints=loaded.hints,
            parity=parity,
            program=program,
            parameters=loaded.parameters,
        )
        return {"main": model}


def torch_module_of(checkpoint: Checkpoint) -> Any:
    """The checkpoint as a torch module in eval mode, fp32."""
    from edgewright.sources.yolov5.torch_module import build_from

    module = build_from(checkpoint.architecture)
    state = {name: _tensor(array) for name, array in checkpoint.weights.items()}
    module.load_state_dict(state, strict=False)  # names and shapes were checked; anchors come with the architecture
    return module.eval().requires_grad_(False)


def _input_shape(spec: ModelSpec, checkpoint: Checkpoint) -> tuple[tuple[int, ...], bool]:
    """The shape of `images`, and whether its batch is left open."""
    unknown = [name for name in spec.inputs if name != INPUT]
    if unknown:
        raise InputError(f"This model has no input '{unknown[0]}'.", did_you_mean(unknown[0], (INPUT,)))
    shape = tuple(spec.inputs.get(INPUT) or (1, checkpoint.architecture.channels, DEFAULT_SIZE, DEFAULT_SIZE))
    check_shape(checkpoint.architecture, shape)
    return shape, shape[0] == 1


def _hints(spec: ModelSpec, checkpoint: Checkpoint, shape: tuple[int, ...]) -> TaskHints:
    architecture = checkpoint.architecture
    labels, notes = labels_for(spec.labels, checkpoint.labels, architecture.classes)
    return TaskHints(
        kind="detection",
        family="yolov5",
        labels=labels,
        strides=architecture.strides,
        anchors=architecture.anchors,
        preprocess=(
            Step("letterbox", {"size": [shape[2], shape[3]], "value": 114, "centre": True, "scale_up": True}),
            Step("colour", {"order": "rgb"}),
            Step("scale", {"factor": 1 / 255}),
            Step("layout", {"to": "NCHW"}),
        ),
        postprocess=(
            Step("yolov5_flat", {"role": OUTPUT}),
            Step("nms", {"class_wise": True}),
            Step("unletterbox"),
        ),
        notes=(*notes, *(() if spec.labels else checkpoint.notes)),
    )


def _trainable(checkpoint: Checkpoint) -> int:
    """Parameters as torch counts them: running means and variances are not."""
    return sum(array.size for name, array in checkpoint.weights.items() if ".running_" not in name)


def _describe(proto: Any, hints: TaskHints, shape: tuple[int, ...]) -> None:
    """The metadata that other tools look for in a detector's file (the keys of Ultralytics' exports)."""
    import json

    from onnx import helper

    metadata: Mapping[str, Any] = {
        "task": "detect",
        "names": {str(i): name for i, name in enumerate(hints.labels)},
        "stride": max(hints.strides),
        "imgsz": list(shape[2:]),
        "strides": list(hints.strides),
        "anchors": hints.anchors,
    }
    helper.set_model_props(proto, {key: v if isinstance(v, str) else json.dumps(v) for key, v in metadata.items()})


def _parity(graph: WrittenGraph, module: Any, example: NDArray[Any]) -> Parity:
    import torch

    with torch.no_grad():
        original = module(_tensor(example)).numpy()
    outputs = run_graph(graph.proto.SerializeToString(), {INPUT: example})
    return check_parity(outputs, [original], "torch", lambda: _first_difference(graph, module, example))


def _first_difference(graph: WrittenGraph, module: Any, example: NDArray[Any]) -> str:
    """The first tensor of the graph that is not what the torch module of the same name gives."""
    import onnx
    import torch
    from onnx import helper

    layers = {name: f"model.{index}" for index, name in enumerate(graph.layer_tensors)}
    produced = [name for node in graph.proto.graph.node for name in node.output]
    # a folded convolution is not what the torch convolution alone gives, so only results after it are compared
    names = {name: layers.get(name, name) for name in produced if not name.endswith(".conv") or name in layers}
    parts = dict(module.named_modules())
    theirs: dict[str, NDArray[Any]] = {}
    hooks = [
        parts[part].register_forward_hook(lambda _m, _i, out, name=name: theirs.update({name: out.numpy().copy()}))
        for name, part in names.items()
        if part in parts
    ]
    with torch.no_grad():
        module(_tensor(example))
    for hook in hooks:
        hook.remove()
    watched: Any = onnx.ModelProto()
    watched.CopyFrom(graph.proto)
    del watched.graph.output[:]
    watched.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in theirs)
    ours = dict(zip(theirs, run_graph(watched.SerializeToString(), {INPUT: example}, list(theirs)), strict=True))
    return next((name for name in produced if name in theirs and differs(ours[name], theirs[name])), OUTPUT)


def _tensor(array: NDArray[Any]) -> Any:
    import torch

    return torch.from_numpy(array)
