"""The rules on networks that were really run and profiled: small ones of our own, and YOLOv5n."""

from __future__ import annotations

import importlib.util
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright import findings, sources
from edgewright.core.facts import Facts
from edgewright.core.model import ModelSpec
from edgewright.core.operator_kind import kind_of
from edgewright.core.profile import Finding, Profile
from edgewright.core.roofline import annotate
from edgewright.device.steps import DetectorPostprocess, Preprocess

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

# Peaks are planted (of two AVX-512 VNNI cores); times, shapes and memory are measured.
FACTS = Facts("local", "onnxruntime", cores=2, threads=2, peaks={"fp32": 226, "int8": 700}, bandwidth=14)


def engine(path: Path) -> Any:
    """ONNX Runtime's engine as the device opens it: its ondevice.py, loaded by path."""
    program = findings.FOLDER.parent / "targets" / "onnxruntime" / "ondevice.py"
    spec = importlib.util.spec_from_file_location("engine_under_test", program)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.open(str(path), {})


def profiled(path: Path, feeds: dict[str, Any], iterations: int = 5, phases: dict[str, float] | None = None) -> Profile:
    found = engine(path).profile(feeds, iterations)
    spent = sum(operator["duration_us"] for operator in found["operators"])
    about = {"device": "local", "precision": "fp32", "total_us": spent, "iterations": iterations}
    return annotate(Profile.from_json({**found, **about, "phases": {**(phases or {}), "compute": spent}}), FACTS)


def saved(folder: Path, nodes: list[Any], shape: list[int], out: list[int], weights: dict[str, Any]) -> Path:
    helper = onnx.helper
    graph = helper.make_graph(
        nodes,
        "planted",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, out)],
        [onnx.numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def of_convolutions(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    names = ["x", "a", "b", "c", "y"]
    nodes = [
        onnx.helper.make_node("Conv", [i, f"w{o}"], [o], name=o, pads=[1, 1, 1, 1])
        for i, o in itertools.pairwise(names)
    ]
    weights = {f"w{name}": rng.standard_normal((64, 64, 3, 3)) * 0.01 for name in names[1:]}
    return saved(folder, nodes, [1, 64, 56, 56], [1, 64, 56, 56], weights)


def of_copies(folder: Path) -> Path:
    make = onnx.helper.make_node
    nodes = [
        make("Transpose", ["x"], ["t"], name="t", perm=[0, 2, 3, 1]),
        make("Sin", ["t"], ["s"], name="s"),
        make("Transpose", ["s"], ["u"], name="u", perm=[0, 3, 1, 2]),
        make("Concat", ["u", "x", "u", "x"], ["c"], name="c", axis=1),
        make("Transpose", ["c"], ["y"], name="y", perm=[0, 1, 3, 2]),
    ]
    return saved(folder, nodes, [1, 64, 160, 160], [1, 256, 160, 160], {})


def of_matrices(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    make = onnx.helper.make_node
    nodes = [make("MatMul", ["x", "w"], ["a"], name="a"), make("Relu", ["a"], ["b"], name="b")]
    nodes.append(make("MatMul", ["b", "w"], ["y"], name="y"))
    return saved(folder, nodes, [1, 128, 768], [1, 128, 768], {"w": rng.standard_normal((768, 768)) * 0.01})


@pytest.mark.parametrize(
    ("network", "shape", "fires", "silent"),
    [
        (of_convolutions, (1, 64, 56, 56), {"convolutions", "quantisation_potential"}, {"matmuls", "decoded_head"}),
        (of_copies, (1, 64, 160, 160), {"copies"}, {"convolutions", "matmuls", "int8_tolerance"}),
        (of_matrices, (1, 128, 768), {"matmuls", "quantisation_potential"}, {"convolutions", "copies"}),
    ],
)
def test_rules_on_a_network_really_run(
    network: Callable[[Path], Path], shape: tuple[int, ...], fires: set[str], silent: set[str], tmp_path: Path
) -> None:
    profile = profiled(network(tmp_path), {"x": np.random.default_rng(0).random(shape, dtype=np.float32)})
    found = {finding.rule for finding in findings.look(profile, FACTS)}
    assert fires <= found
    assert not silent & found


def test_operations_of_a_convolution_really_run_are_counted(tmp_path: Path) -> None:
    profile = profiled(of_convolutions(tmp_path), {"x": np.zeros((1, 64, 56, 56), np.float32)})
    counted = sum(operator.flops for operator in profile.operators if kind_of(operator.type) == "convolution")
    assert counted == 4 * 2 * 64 * 56 * 56 * 64 * 9


@pytest.fixture(scope="module")
def yolov5n(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """YOLOv5n as ONNX Runtime runs it on a real photograph, with ordinary pre- and post-processing."""
    cv2 = pytest.importorskip("cv2")
    spec = ModelSpec(source=str(shared_dir / "models" / "yolov5n-coco" / "yolov5n.pt"))
    source = sources.get("yolov5")
    model = source.to_onnx(source.load(spec), 17, tmp_path_factory.mktemp("yolov5n"))["main"]
    photograph = cv2.imread(str(min((shared_dir / "data" / "coco128" / "images" / "val2017").glob("*.jpg"))))[..., ::-1]
    before = Preprocess([step.to_json() for step in model.hints.preprocess])
    thresholds = {"confidence": 0.25, "iou": 0.45, "max_detections": 100}
    after = DetectorPostprocess([step.to_json() for step in model.hints.postprocess], thresholds)
    array, geometry = before(photograph)
    name = model.inputs[0].name
    boxes = engine(model.path).run({name: array})
    phases = {
        "preprocess": median_us(lambda: before(photograph)),
        "postprocess": median_us(lambda: after(boxes, geometry)),
    }
    return profiled(model.path, {name: array}, 5, phases)


def median_us(call: Callable[[], Any]) -> float:
    times = []
    for _ in range(7):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e6)
    return sorted(times)[3]


def by_rule(profile: Profile) -> dict[str, Finding]:
    return {finding.rule: finding for finding in findings.look(profile, FACTS)}


@pytest.mark.shared
@pytest.mark.slow
def test_the_classic_findings_of_a_yolov5_analysis_come_out(yolov5n: Profile) -> None:
    found = by_rule(yolov5n)
    assert found["convolutions"].share > 0.5
    assert {"Concat"} <= {str(row["type"]) for row in found["copies"].evidence}
    assert "of 60 convolutions usually tolerate INT8" in found["int8_tolerance"].title
    whole = sum(yolov5n.phases.values())
    assert ("input_preparation" in found) == (yolov5n.phases["preprocess"] / whole >= 0.03)


@pytest.mark.shared
@pytest.mark.slow
def test_yolov5n_has_the_operations_its_authors_say(yolov5n: Profile) -> None:
    """4.5 GFLOP at 640×640 (the model's own table; a few padded channels of the blocked layout count too)."""
    assert 4.3e9 < sum(operator.flops for operator in yolov5n.operators) < 4.8e9
