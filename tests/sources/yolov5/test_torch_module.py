from __future__ import annotations

import pickle
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from edgewright.sources.yolov5.torch_module import build_module  # noqa: E402
from edgewright.sources.yolov5.weights import expected_shapes  # noqa: E402

FULL = {"nc": 80, "depth_multiple": 0.33, "width_multiple": 0.25}


def test_parameters_of_yolov5n_are_as_published(small_yaml: dict[str, Any]) -> None:
    module = build_module({**small_yaml, **FULL})
    backbone_with_sppf_last = 1_872_157  # https://github.com/ultralytics/yolov5, models/yolov5n.yaml, v6.0
    assert sum(p.numel() for p in module.parameters()) == backbone_with_sppf_last


def test_training_gives_one_head_a_level(yaml: dict[str, Any]) -> None:
    heads = build_module(yaml)(torch.rand(2, 3, 64, 96))
    assert [tuple(head.shape) for head in heads] == [(2, 3, 8, 12, 8), (2, 3, 4, 6, 8), (2, 3, 2, 3, 8)]


def test_eval_gives_boxes_in_pixels(yaml: dict[str, Any]) -> None:
    module = build_module(yaml).eval()
    with torch.no_grad():
        for head in module.model[-1].m:
            head.weight.zero_(), head.bias.zero_()
        boxes = module(torch.rand(1, 3, 64, 64))
    assert boxes.shape == (1, 3 * (64 + 16 + 4), 8)
    # with zeros in, every box is its anchor in the middle of its cell: (2·0.5 − 0.5 + cell)·stride, (2·0.5)²·anchor
    assert boxes[0, 0].tolist() == [4, 4, 10, 13, 0.5, 0.5, 0.5, 0.5]
    assert boxes[0, 9].tolist()[:4] == [12, 12, 10, 13]
    assert boxes[0, 64].tolist()[:4] == [4, 4, 16, 30]
    assert boxes[0, -1].tolist()[:4] == [48, 48, 373, 326]


def test_names_and_shapes_are_those_the_checkpoint_reader_expects(yaml: dict[str, Any]) -> None:
    module = build_module(yaml)
    ours = {k: tuple(v.shape) for k, v in module.state_dict().items()}
    wanted = expected_shapes(module.architecture)
    assert {k: v for k, v in ours.items() if not k.endswith(("num_batches_tracked", "anchors"))} == wanted


def test_it_learns(small_yaml: dict[str, Any]) -> None:
    torch.manual_seed(0)
    module = build_module(small_yaml)
    image, optimiser = torch.rand(2, 3, 64, 64), torch.optim.SGD(module.parameters(), 0.01, momentum=0.9)
    losses = []
    for _ in range(8):
        loss = sum((head.sigmoid() - 0.7).square().mean() for head in module(image))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


def test_a_state_dict_loads_back_strictly(small_yaml: dict[str, Any]) -> None:
    module, twin = build_module(small_yaml), build_module(small_yaml)
    twin.load_state_dict(pickle.loads(pickle.dumps(module.state_dict())))
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(module.eval()(image), twin.eval()(image))


def test_the_first_biases_expect_few_objects(small_yaml: dict[str, Any]) -> None:
    bias = build_module(small_yaml).model[-1].m[0].bias.view(3, -1)
    assert float(bias[:, 4].sigmoid().max()) < 0.01
