from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgewright.core.errors import InputError
from edgewright.sources.parity import run_graph
from edgewright.sources.yolov5.architecture import read_architecture
from edgewright.sources.yolov5.onnx_graph import write_graph
from edgewright.sources.yolov5.weights import Weights, expected_shapes

SHAPE = (1, 3, 64, 96)


def random_weights(yaml: dict[str, Any]) -> Weights:
    rng = np.random.default_rng(0)
    return {
        name: (rng.random(shape) * 0.1 + (0.5 if name.endswith("running_var") else 0)).astype(np.float32)
        for name, shape in expected_shapes(read_architecture(yaml)).items()
    }


def test_the_graph_computes_what_the_torch_module_does(yaml: dict[str, Any], trained: Any) -> None:
    torch = pytest.importorskip("torch")
    module = trained(yaml)
    weights = {k: v.numpy() for k, v in module.state_dict().items() if v.is_floating_point()}
    image = np.random.default_rng(0).random(SHAPE, np.float32)
    with torch.no_grad():
        wanted = module(torch.from_numpy(image)).numpy()
    for opset in (11, 13, 17):
        written = write_graph(module.architecture, weights, SHAPE, opset=opset)
        (ours,) = run_graph(written.proto.SerializeToString(), {"images": image})
        np.testing.assert_allclose(ours, wanted, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("opset", [11, 12, 13, 14, 16, 17, 18, 19, 20, 21])
def test_the_opset_asked_is_the_opset_written(small_yaml: dict[str, Any], opset: int) -> None:
    import onnx

    proto = write_graph(read_architecture(small_yaml), random_weights(small_yaml), SHAPE, opset=opset).proto
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", opset)]
    onnx.checker.check_model(proto, full_check=True)


@pytest.mark.parametrize("opset", [7, 10, 25])
def test_an_opset_that_cannot_be_written_is_refused(small_yaml: dict[str, Any], opset: int) -> None:
    with pytest.raises(InputError, match=str(opset)):
        write_graph(read_architecture(small_yaml), random_weights(small_yaml), SHAPE, opset=opset)


def test_an_open_batch_takes_any_number_of_images(small_yaml: dict[str, Any]) -> None:
    written = write_graph(read_architecture(small_yaml), random_weights(small_yaml), SHAPE, opset=17)
    images = np.random.default_rng(1).random((3, *SHAPE[1:]), np.float32)
    model = written.proto.SerializeToString()
    (together,) = run_graph(model, {"images": images})
    apart = np.concatenate([run_graph(model, {"images": images[i : i + 1]})[0] for i in range(3)])
    np.testing.assert_allclose(together, apart, atol=1e-4)


def test_a_fixed_batch_is_written_where_asked(small_yaml: dict[str, Any]) -> None:
    shape = (2, *SHAPE[1:])
    proto = write_graph(
        read_architecture(small_yaml), random_weights(small_yaml), shape, opset=17, dynamic_batch=False
    ).proto
    dims = [d.dim_value for d in proto.graph.output[0].type.tensor_type.shape.dim]
    assert dims == [2, 3 * (8 * 12 + 4 * 6 + 2 * 3), 8]


@pytest.mark.parametrize("shape", [(1, 3, 65, 64), (1, 1, 64, 64), (3, 64, 64), (0, 3, 64, 64), (1, 3, 10**6, 64)])
def test_a_shape_that_does_not_fit_is_refused_with_one_that_does(small_yaml: dict[str, Any], shape: Any) -> None:
    with pytest.raises(InputError) as refusal:
        write_graph(read_architecture(small_yaml), random_weights(small_yaml), shape, opset=17)
    assert "[" in refusal.value.remedy


def test_batch_norm_is_folded_and_weights_keep_their_names(small_yaml: dict[str, Any]) -> None:
    proto = write_graph(read_architecture(small_yaml), random_weights(small_yaml), SHAPE, opset=17).proto
    assert not [node for node in proto.graph.node if node.op_type == "BatchNormalization"]
    assert {"model.0.conv.weight", "model.24.m.2.bias"} <= {tensor.name for tensor in proto.graph.initializer}


def test_the_same_weights_give_the_same_bytes(small_yaml: dict[str, Any]) -> None:
    def bytes_of() -> bytes:
        written = write_graph(read_architecture(small_yaml), random_weights(small_yaml), SHAPE, opset=17)
        return bytes(written.proto.SerializeToString(deterministic=True))

    assert bytes_of() == bytes_of()
