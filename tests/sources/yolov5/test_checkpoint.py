from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.core.errors import InputError, UnsafeModelError
from edgewright.sources.yolov5.architecture import Activation
from edgewright.sources.yolov5.checkpoint import read_checkpoint

torch = pytest.importorskip("torch")
NAMES = ["cat", "dog", "cow"]


def write(path: Path, value: Any) -> Path:
    torch.save(value, path)
    return path


def test_the_official_layout_gives_back_the_weights(
    tmp_path: Path, yaml: dict[str, Any], trained: Any, official: Any
) -> None:
    module = trained(yaml)
    state = {name: value.clone() for name, value in module.state_dict().items()}
    path = write(tmp_path / "m.pt", {"epoch": -1, "ema": None, "model": official(module, yaml, NAMES).half()})
    found = read_checkpoint(path)
    assert found.labels == tuple(NAMES)
    assert found.layout == "module (model)"
    for name, array in found.weights.items():
        np.testing.assert_array_equal(array, state[name].half().float().numpy())
    assert all(name in found.weights for name in state if not name.endswith(("num_batches_tracked", "anchors")))


def test_averaged_weights_win_over_the_last_ones(
    tmp_path: Path, small_yaml: dict[str, Any], trained: Any, official: Any
) -> None:
    last, averaged = trained(small_yaml, 1), trained(small_yaml, 2)
    state = averaged.state_dict()["model.0.conv.weight"].clone().numpy()
    value = {"model": official(last, small_yaml, NAMES), "ema": official(averaged, small_yaml, NAMES), "updates": 7}
    np.testing.assert_array_equal(
        read_checkpoint(write(tmp_path / "m.pt", value)).weights["model.0.conv.weight"], state
    )


def test_a_bare_module_is_read(tmp_path: Path, small_yaml: dict[str, Any], trained: Any, official: Any) -> None:
    path = write(tmp_path / "m.pt", official(trained(small_yaml), small_yaml, {0: "cat", 1: "dog", 2: "cow"}))
    assert read_checkpoint(path).labels == tuple(NAMES)


def test_activations_come_from_the_layers_not_from_the_yaml(
    tmp_path: Path, yaml: dict[str, Any], trained: Any, official: Any
) -> None:
    module = trained(yaml)
    kind = module.architecture.activation
    silent = {key: value for key, value in yaml.items() if key != "activation"}
    path = write(tmp_path / "m.pt", {"model": official(module, silent, NAMES)})
    assert read_checkpoint(path).architecture.activation == kind


def test_the_csp_block_keeps_its_own_activation(tmp_path: Path, trained: Any, official: Any, request: Any) -> None:
    from torch import nn

    yaml = request.getfixturevalue("small_yaml")
    lines = [[*line[:2], "BottleneckCSP", line[3]] if line[2] == "C3" else line for line in yaml["backbone"]]
    changed = {**yaml, "backbone": lines}
    module = trained(changed)
    module.model[2].act = nn.LeakyReLU(0.1)
    module.model[4].act = module.model[6].act = module.model[8].act = module.model[2].act
    architecture = read_checkpoint(write(tmp_path / "m.pt", {"model": official(module, changed, NAMES)})).architecture
    assert architecture.activation == Activation("silu")
    assert architecture.csp_activation == Activation("leaky_relu", 0.1)


def test_our_plain_layout_is_read(plain_checkpoint: Path) -> None:
    found = read_checkpoint(plain_checkpoint)
    assert (found.layout, found.labels) == ("state_dict", ("a", "b", "c"))


def test_anchors_of_the_training_replace_those_of_the_yaml(
    tmp_path: Path, small_yaml: dict[str, Any], trained: Any
) -> None:
    state = trained(small_yaml).state_dict()
    state["model.24.anchors"] = torch.full((3, 3, 2), 2.0)
    path = write(tmp_path / "m.pt", {"model": state, "yaml": small_yaml, "names": NAMES})
    assert read_checkpoint(path).architecture.anchors == tuple(((2.0 * s, 2.0 * s),) * 3 for s in (8, 16, 32))


def test_missing_names_are_told(tmp_path: Path, small_yaml: dict[str, Any], trained: Any) -> None:
    found = read_checkpoint(write(tmp_path / "m.pt", {"model": trained(small_yaml).state_dict(), "yaml": small_yaml}))
    assert found.labels == ("class0", "class1", "class2")
    assert "names" in found.notes[0]


def test_convolutions_fused_with_their_batch_norm_are_read(
    tmp_path: Path, small_yaml: dict[str, Any], trained: Any, official: Any
) -> None:
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    module, image = trained(small_yaml), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        wanted = module(image).numpy()
    for part in list(module.modules()):
        if hasattr(part, "bn") and hasattr(part, "conv"):
            part.conv = fuse_conv_bn_eval(part.conv, part.bn)
            del part.bn
    found = read_checkpoint(write(tmp_path / "m.pt", {"model": official(module, small_yaml, NAMES)}))
    from edgewright.sources.yolov5.source import torch_module_of

    rebuilt = torch_module_of(found)
    np.testing.assert_allclose(rebuilt(image).numpy(), wanted, atol=1e-3, rtol=1e-3)


def test_another_epsilon_of_batch_norm_is_kept(
    tmp_path: Path, small_yaml: dict[str, Any], trained: Any, official: Any
) -> None:
    from edgewright.sources.yolov5.source import torch_module_of

    module, image = trained(small_yaml), torch.rand(1, 3, 64, 64)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.eps = 1e-2
    with torch.no_grad():
        wanted = module(image).numpy()
    found = read_checkpoint(write(tmp_path / "m.pt", {"model": official(module, small_yaml, NAMES)}))
    np.testing.assert_allclose(torch_module_of(found)(image).numpy(), wanted, atol=1e-3, rtol=1e-3)


def test_layers_that_are_not_what_the_yaml_says_are_refused(
    tmp_path: Path, small_yaml: dict[str, Any], trained: Any, official: Any
) -> None:
    module = official(trained(small_yaml), small_yaml, NAMES)
    module.yaml = {**small_yaml, "backbone": [*small_yaml["backbone"][:9], [-1, 1, "Conv", [1024, 1, 1]]]}
    with pytest.raises(InputError, match="Layer 9"):
        read_checkpoint(write(tmp_path / "m.pt", {"model": module}))


@pytest.mark.parametrize("change", ["missing", "shape", "extra", "nan"])
def test_weights_that_do_not_fit_the_yaml_are_refused_by_name(
    tmp_path: Path, small_yaml: dict[str, Any], trained: Any, change: str
) -> None:
    state = trained(small_yaml).state_dict()
    if change == "missing":
        del state["model.3.conv.weight"]
    elif change == "extra":
        state["model.3.conv.extra"] = torch.ones(1)
    elif change == "nan":
        state["model.3.conv.weight"].fill_(float("nan"))
    else:
        state["model.3.conv.weight"] = torch.ones(1, 2, 3, 3)
    with pytest.raises(InputError, match=r"model\.3\.conv"):
        read_checkpoint(write(tmp_path / "m.pt", {"model": state, "yaml": small_yaml}))


@pytest.mark.parametrize("value", [{}, [], {"model": None}, {"model": {}}, 3, {"model": {}, "yaml": {}}])
def test_a_checkpoint_of_nothing_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(InputError) as refusal:
        read_checkpoint(write(tmp_path / "m.pt", value))
    assert refusal.value.remedy


def test_a_plain_state_dict_is_refused_with_what_to_do(tmp_path: Path) -> None:
    state = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).state_dict()
    for value in (state, {"model": state}, {"state_dict": state}):
        with pytest.raises(InputError) as refusal:
            read_checkpoint(write(tmp_path / "m.pt", value))
        assert "ONNX" in refusal.value.remedy


def test_a_yolov8_checkpoint_is_refused_as_another_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import types

    module = types.ModuleType("ultralytics.nn.tasks")
    kind = type("DetectionModel", (torch.nn.Module,), {"__module__": "ultralytics.nn.tasks"})
    module.DetectionModel = kind
    for name in ("ultralytics", "ultralytics.nn"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "ultralytics.nn.tasks", module)
    path = write(tmp_path / "m.pt", {"model": kind()})
    with pytest.raises(InputError, match="another family") as refusal:
        read_checkpoint(path)
    assert not isinstance(refusal.value, UnsafeModelError)
    assert "export" in refusal.value.remedy.lower()


def test_a_module_that_holds_itself_is_refused(
    tmp_path: Path, small_yaml: dict[str, Any], trained: Any, official: Any
) -> None:
    module = official(trained(small_yaml), small_yaml, NAMES)
    module.model[0]._modules["again"] = module.model[0]
    with pytest.raises(InputError):
        read_checkpoint(write(tmp_path / "m.pt", {"model": module}))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "classes", "first"),
    [("yolov5n-coco/yolov5n.pt", 80, "person"), ("yolov5n-helmet/yolov5n-helmet.pt", 2, "helmet")],
)
def test_real_checkpoints_are_read_without_their_code(shared_dir: Path, file: str, classes: int, first: str) -> None:
    found = read_checkpoint(shared_dir / "models" / file)
    assert len(found.labels) == found.architecture.classes == classes
    assert found.labels[0] == first
    assert found.architecture.strides == (8, 16, 32)
    assert found.architecture.anchors[0][0] == (10.0, 13.0)
    assert "models" not in sys.modules


@pytest.mark.shared
def test_a_cut_off_real_checkpoint_is_refused(shared_dir: Path, tmp_path: Path) -> None:
    data = (shared_dir / "models/yolov5n-coco/yolov5n.pt").read_bytes()
    for part in (0.1, 0.5, 0.9, 0.9999):
        (tmp_path / "cut.pt").write_bytes(data[: int(len(data) * part)])
        with pytest.raises(InputError):
            read_checkpoint(tmp_path / "cut.pt")
