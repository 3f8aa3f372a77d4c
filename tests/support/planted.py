"""Models in which one thing is wrong on purpose, and data small enough that a whole run takes seconds.

A graph is written node by node, so that what goes wrong is known and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

COLOURS = ("red", "green", "blue")


class Graph:
    """An ONNX graph under construction: `add` appends a node and names its output."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def constant(self, value: Any) -> str:
        from onnx import numpy_helper

        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def add(self, kind: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        from onnx import helper

        out = out or f"{kind.lower()}{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [out], name=out, **attributes))
        return out

    def save(self, path: Path, inputs: dict[str, Sequence[int]], outputs: dict[str, Sequence[int]]) -> Path:
        import onnx
        from onnx import TensorProto, helper

        def ports(shapes: dict[str, Sequence[int]]) -> list[Any]:
            return [helper.make_tensor_value_info(n, TensorProto.FLOAT, list(s)) for n, s in shapes.items()]

        graph = helper.make_graph(self._nodes, path.stem, ports(inputs), ports(outputs), self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, path)
        return path


def colour_model(path: Path, offset: float = 0.0) -> Path:
    """Says which colour a picture has. With an `offset`, what tells the colours apart is a few units on top of it
    until the next layer takes it away again: fp32 has digits enough for both; eight bits over 0 … offset, and the
    eight digits of bf16, have not, and all pictures look the same."""
    graph = Graph()
    first = np.zeros((12, 3, 3, 3), np.float32)
    last = np.zeros((3, 12, 1, 1), np.float32)
    for channel in range(12):
        first[channel, channel % 3, 1, 1] = 10.0
        last[channel % 3, channel] = 0.25
    bias = np.full(12, offset, np.float32)
    x = graph.add("Conv", "images", graph.constant(first), graph.constant(bias), pads=[1, 1, 1, 1])
    x = graph.add("Relu", x)
    x = graph.add("Conv", x, graph.constant(last), graph.constant(np.full(3, -offset, np.float32)))
    x = graph.add("GlobalAveragePool", x)
    graph.add("Flatten", x, out="logits")
    return graph.save(path, {"images": (1, 3, 32, 32)}, {"logits": (1, 3)})


def colour_pictures(folder: Path, count: int, seed: int) -> Path:
    """`count` pictures of each colour, in a folder per colour."""
    random = np.random.default_rng(seed)
    for k, colour in enumerate(COLOURS):
        for i in range(count):
            picture = random.integers(0, 120, (32, 32, 3))
            picture[:, :, k] += 60 + int(random.integers(0, 60))
            _write(folder / colour / f"{i:03d}.png", picture)
    return folder


def small_products(path: Path, layers: int = 60, width: int = 16) -> Path:
    """Many matrix products, each too small to be worth turning its input into integers first: INT8 is slower.
    The matrices are rotations, so that INT8 loses next to nothing."""
    random = np.random.default_rng(2)
    graph, x = Graph(), "x"
    for _ in range(layers):
        rotation, _ = np.linalg.qr(random.normal(size=(width, width)))
        x = graph.add("MatMul", x, graph.constant(rotation))
        x = graph.add("LeakyRelu", x, alpha=0.9)
    graph.add("Identity", x, out="y")
    return graph.save(path, {"x": (1, 4, width)}, {"y": (1, 4, width)})


def tensors(folder: Path, shape: Sequence[int], count: int) -> Path:
    """Samples for `small_products`."""
    random = np.random.default_rng(3)
    folder.mkdir(parents=True)
    for i in range(count):
        np.savez(folder / f"{i:03d}.npz", x=random.normal(size=shape).astype(np.float32))
    return folder


def learnt_by_heart(path: Path, pictures: Path, count: int = 20, width: int = 48, size: int = 32) -> Path:
    """A classifier of two classes that INT8 makes faster, and whose answers hang by a thread: its last layer is
    solved for `count` pictures of noise to be of one class and the other by turns, so the rounding of INT8 turns
    about every second answer over.

    Each picture lies in `pictures` under both classes, so whatever is turned over is won once and lost once: the drop
    is 0 points exactly, with a wide interval."""
    random = np.random.default_rng(4)
    noise = [random.integers(0, 256, (size, size, 3)) for _ in range(count)]
    for i, picture in enumerate(noise):
        for label in ("left", "right"):
            _write(pictures / label / f"{i:03d}.png", picture)
    layers = [random.normal(0, (2 / (9 * c)) ** 0.5, (width, c, 3, 3)) for c in (3, width, width, width)]
    trunk = path.with_name("trunk.onnx")
    _trunk(layers, None).save(trunk, {"images": (1, 3, size, size)}, {"features": (1, width)})
    features = np.stack([_features(trunk, picture) for picture in noise])
    trunk.unlink()
    answers = np.array([1.0 if i % 2 else -1.0 for i in range(count)])
    weights = np.linalg.lstsq(features, answers, rcond=None)[0]
    graph = _trunk(layers, np.stack([-weights, weights], axis=1))
    return graph.save(path, {"images": (1, 3, size, size)}, {"logits": (1, 2)})


def _trunk(layers: Sequence[Any], last: Any) -> Graph:
    graph, x = Graph(), "images"
    for weights in layers:
        x = graph.add("Relu", graph.add("Conv", x, graph.constant(weights), pads=[1, 1, 1, 1]))
    x = graph.add("GlobalAveragePool", x)
    if last is None:
        graph.add("Flatten", x, out="features")
    else:
        graph.add("MatMul", graph.add("Flatten", x), graph.constant(last), out="logits")
    return graph


def _features(trunk: Path, picture: Any) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(trunk, providers=["CPUExecutionProvider"])
    images = picture.astype(np.float32).transpose(2, 0, 1)[None] / 255
    return session.run(None, {"images": images})[0][0].astype(np.float64)


def _write(path: Path, picture: Any) -> None:
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.clip(picture, 0, 255).astype(np.uint8)[:, :, ::-1])
