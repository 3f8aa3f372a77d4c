"""Small YOLOv5 networks of every generation, and checkpoints of them as their training code would write them."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ANCHORS = [[10, 13, 16, 30, 33, 23], [30, 61, 62, 45, 59, 119], [116, 90, 156, 198, 373, 326]]
SMALL: dict[str, Any] = {"nc": 3, "depth_multiple": 0.33, "width_multiple": 0.125, "anchors": ANCHORS}

HEAD = [
    [-1, 1, "Conv", [512, 1, 1]],
    [-1, 1, "nn.Upsample", ["None", 2, "nearest"]],
    [[-1, 6], 1, "Concat", [1]],
    [-1, 3, "C3", [512, False]],
    [-1, 1, "Conv", [256, 1, 1]],
    [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
    [[-1, 4], 1, "Concat", [1]],
    [-1, 3, "C3", [256, False]],
    [-1, 1, "Conv", [256, 3, 2]],
    [[-1, 14], 1, "Concat", [1]],
    [-1, 3, "C3", [512, False]],
    [-1, 1, "Conv", [512, 3, 2]],
    [[-1, 10], 1, "Concat", [1]],
    [-1, 3, "C3", [1024, False]],
    [[17, 20, 23], 1, "Detect", ["nc", "anchors"]],
]


def backbone(stem: list[Any], block: str, last: list[list[Any]]) -> list[list[Any]]:
    return [
        [-1, 1, *stem],
        [-1, 1, "Conv", [128, 3, 2]],
        [-1, 3, block, [128]],
        [-1, 1, "Conv", [256, 3, 2]],
        [-1, 6, block, [256]],
        [-1, 1, "Conv", [512, 3, 2]],
        [-1, 9, block, [512]],
        [-1, 1, "Conv", [1024, 3, 2]],
        *last,
    ]


SPP = [-1, 1, "SPP", [1024, [5, 9, 13]]]
V6 = {
    **SMALL,
    "backbone": backbone(["Conv", [64, 6, 2, 2]], "C3", [[-1, 3, "C3", [1024]], [-1, 1, "SPPF", [1024, 5]]]),
    "head": HEAD,
}
V5 = {
    **SMALL,
    "backbone": backbone(["Focus", [64, 3]], "C3", [SPP, [-1, 3, "C3", [1024, False]]]),
    "head": HEAD,
}
V3 = {
    **SMALL,
    "backbone": backbone(["Focus", [64, 3]], "BottleneckCSP", [SPP, [-1, 3, "Bottleneck", [1024]]]),
    "head": HEAD,
    "activation": "nn.LeakyReLU(0.1)",
}  # fmt: skip
V4 = {**V5, "activation": "nn.Hardswish()"}
GENERATIONS = {"v3": V3, "v4": V4, "v5": V5, "v6": V6}


@pytest.fixture(params=GENERATIONS)
def yaml(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The yaml of a small network, one of each generation."""
    return GENERATIONS[request.param]


@pytest.fixture
def small_yaml() -> dict[str, Any]:
    """A small network of v6, where any will do."""
    return V6


def trained(yaml: dict[str, Any], seed: int = 0) -> Any:
    """A module with weights and batch statistics as a training leaves them: nothing is 0 or 1."""
    torch = pytest.importorskip("torch")
    from edgewright.sources.yolov5.torch_module import build_module

    torch.manual_seed(seed)
    module = build_module(yaml)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if name.endswith("running_var") or ".bn.weight" in name:
                value.uniform_(0.5, 1.5)
            elif ".bn." in name and value.is_floating_point():
                value.normal_(0, 0.2)
    return module.eval()


OFFICIAL = {
    "YoloV5": ("models.yolo", "Model"),
    "Detect": ("models.yolo", "Detect"),
    **{
        k: ("models.common", k) for k in ("Conv", "Focus", "Bottleneck", "BottleneckCSP", "C3", "SPP", "SPPF", "Concat")
    },
}


@pytest.fixture
def official() -> Iterator[Any]:
    """Turns a module of ours into one whose pickle names the official classes, as its training code would write it."""
    dressed: dict[type, tuple[str, str, str]] = {}
    made: set[str] = set()

    def home_of(name: str) -> types.ModuleType:
        if name not in sys.modules:
            made.add(name)
            sys.modules[name] = types.ModuleType(name)
        return sys.modules[name]

    def dress(module: Any, yaml: dict[str, Any], names: Any) -> Any:
        for part in module.modules():
            kind = type(part)
            if kind.__module__.startswith("edgewright"):
                dressed[kind] = (kind.__module__, kind.__qualname__, kind.__name__)
                home, name = OFFICIAL[kind.__name__]
                kind.__module__, kind.__qualname__, kind.__name__ = home, name, name
                home_of("models")
                setattr(home_of(home), name, kind)
        del module.architecture, module._kept
        module.yaml, module.names = yaml, names
        return module

    yield dress
    for kind, (module, qualified, name) in dressed.items():
        kind.__module__, kind.__qualname__, kind.__name__ = module, qualified, name
    for name in made:
        del sys.modules[name]


@pytest.fixture
def plain_checkpoint(tmp_path: Path, small_yaml: dict[str, Any]) -> Path:
    """Our own layout: a state dict beside its yaml and names."""
    torch = pytest.importorskip("torch")
    path = tmp_path / "plain.pt"
    torch.save({"model": trained(small_yaml).state_dict(), "yaml": small_yaml, "names": ["a", "b", "c"]}, path)
    return path


@pytest.fixture(name="trained")
def _trained() -> Any:
    return trained
