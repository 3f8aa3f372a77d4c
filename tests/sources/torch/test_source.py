from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright import sources
from edgewright.core.errors import InputError, UnsafeModelError
from edgewright.core.model import ModelSpec
from edgewright.sources.parity import run_graph

torch = pytest.importorskip("torch")
NETS = Path(__file__).parent / "nets.py"
IMAGE = {"image": (1, 1, 8, 8)}


def nets() -> Any:
    spec = importlib.util.spec_from_file_location("nets_of_the_tests", NETS)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(source: Any, **fields: Any) -> Any:
    return sources.get("torch").load(ModelSpec(str(source), **{"trust": True, **fields}))


def write(loaded: Any, folder: Path, opset: int = 17) -> Any:
    return sources.get("torch").to_onnx(loaded, opset, folder)["main"]


@pytest.fixture
def no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.export takes seconds, and only some tests are about it."""
    import edgewright.sources.torch.source as source

    monkeypatch.setattr(source, "save_program", lambda *_, **__: None)


def test_a_factory_becomes_a_checked_graph_and_a_program(tmp_path: Path) -> None:
    loaded = load(f"{NETS}:picture", inputs=IMAGE)
    model = write(loaded, tmp_path)
    assert (model.inputs[0].name, model.inputs[0].shape) == ("image", ("batch", 1, 8, 8))
    assert model.parity.checked
    assert model.hints.kind == "classification"
    image = np.random.default_rng(5).random((1, 1, 8, 8), np.float32)
    program = torch.export.load(str(model.program)).module()
    np.testing.assert_allclose(
        run_graph(model.path, {"image": image})[0], program(torch.from_numpy(image)).numpy(), atol=1e-4
    )


@pytest.mark.usefixtures("no_program")
@pytest.mark.parametrize("opset", [11, 13, 17, 18, 20])
def test_the_opset_asked_is_the_opset_written(tmp_path: Path, opset: int) -> None:
    import onnx

    model = write(load(f"{NETS}:picture", inputs=IMAGE), tmp_path, opset)
    assert model.opset == opset
    assert onnx.load(str(model.path)).opset_import[0].version == opset


@pytest.mark.parametrize("opset", [7, 99])
def test_an_opset_that_torch_cannot_write_is_refused(tmp_path: Path, opset: int) -> None:
    with pytest.raises(InputError, match=str(opset)):
        write(load(f"{NETS}:picture", inputs=IMAGE), tmp_path / "out", opset)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_program")
def test_named_inputs_outputs_and_open_dimensions_are_kept(tmp_path: Path) -> None:
    model = write(load(f"{NETS}:text"), tmp_path)
    assert [(i.name, i.dtype, i.shape) for i in model.inputs] == [
        ("input_ids", "int64", ("batch", "sequence")),
        ("attention_mask", "int64", ("batch", "sequence")),
    ]
    assert [(o.name, o.shape) for o in model.outputs] == [
        ("hidden", ("batch", "sequence", 3)),
        ("pooled", ("batch", 3)),
    ]
    feeds = {"input_ids": np.zeros((2, 5), np.int64), "attention_mask": np.ones((2, 5), np.int64)}
    assert [a.shape for a in run_graph(model.path, feeds)] == [(2, 5, 3), (2, 3)]


@pytest.mark.usefixtures("no_program")
def test_a_graph_for_one_batch_only_says_so(tmp_path: Path) -> None:
    model = write(load(f"{NETS}:one_only", inputs=IMAGE), tmp_path)
    assert model.inputs[0].shape == (1, 1, 8, 8)
    assert any("one batch" in note for note in model.hints.notes)


def test_a_graph_that_departs_from_torch_is_refused_with_its_first_wrong_node(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"first node that differs is '/module/Add'"):
        write(load(f"{NETS}:liar", inputs=IMAGE), tmp_path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_weights_are_loaded_by_name(tmp_path: Path, suffix: str) -> None:
    state, path = nets().other().state_dict(), tmp_path / f"w{suffix}"
    if suffix == ".pt":
        torch.save({"state_dict": state}, path)
    else:
        pytest.importorskip("safetensors.torch").save_file(state, str(path))
    loaded = load(f"{NETS}:picture", inputs=IMAGE, weights=path)
    assert torch.equal(loaded.content.opened.module.stem.weight, state["stem.weight"])


@pytest.mark.parametrize("change", ["missing", "extra", "shape", "pickle", "text", "absent"])
def test_weights_that_do_not_fit_or_run_code_are_refused(tmp_path: Path, change: str) -> None:
    import os

    state, path = nets().picture().state_dict(), tmp_path / "w.pt"

    class Planted:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'planted'}",)

    if change == "missing":
        del state["last.bias"]
    elif change == "extra":
        state["more"] = torch.ones(1)
    elif change == "shape":
        state["last.bias"] = torch.ones(3)
    torch.save({"a": Planted()} if change == "pickle" else "text" if change == "text" else state, path)
    with pytest.raises(InputError) as refusal:
        load(f"{NETS}:picture", inputs=IMAGE, weights=tmp_path / "none.pt" if change == "absent" else path)
    assert refusal.value.remedy
    assert not (tmp_path / "planted").exists()


@pytest.mark.usefixtures("no_program")
def test_torchscript_is_read_with_trust(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    torch.jit.trace(nets().picture().eval(), torch.rand(1, 1, 8, 8)).save(str(path))
    assert sources.get("torch").matches(ModelSpec(str(path)))
    assert not sources.get("yolov5").matches(ModelSpec(str(path)))
    model = write(load(path, inputs=IMAGE), tmp_path / "out")
    assert model.parity.checked
    assert model.inputs[0].name == "image"


@pytest.mark.slow
def test_an_exported_program_is_read_with_trust(tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    torch.export.save(torch.export.export(nets().picture().eval(), (torch.rand(1, 1, 8, 8),)), path)
    model = write(load(path), tmp_path / "out")
    assert model.parity.checked
    assert model.program.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("source", [f"{NETS}:picture", "m.ts", "m.pt2", "m.torchscript"])
def test_code_is_not_run_without_trust(tmp_path: Path, source: str) -> None:
    with pytest.raises(UnsafeModelError) as refusal:
        load(source if ":" in source else tmp_path / source, trust=False, inputs=IMAGE)
    assert "trust: true" in refusal.value.remedy


@pytest.mark.parametrize(
    ("source", "inputs", "said"),
    [
        (f"{NETS}:pictur", IMAGE, "pictur"),
        (f"{NETS}:broken", IMAGE, "no such weights"),
        (f"{NETS}:number", IMAGE, "int"),
        ("no_such_module_anywhere:make", IMAGE, "no_such_module_anywhere"),
        (f"{NETS}:picture", {}, "'image'"),
        (f"{NETS}:picture", {"imag": (1, 1, 8, 8)}, "'imag'"),
        (f"{NETS}:picture", {"image": (1, 3, 8, 8)}, "cannot run"),
    ],
)
def test_what_cannot_be_opened_is_refused_with_what_to_do(source: str, inputs: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as refusal:
        load(source, inputs=inputs)
    assert refusal.value.remedy


@pytest.mark.parametrize("name", ["m.ts", "m.pt2"])
def test_a_damaged_program_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(InputError):
        load(tmp_path / name, inputs=IMAGE)


def test_weights_alone_are_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refusal:
        load(tmp_path / "w.safetensors")
    assert "module:factory" in refusal.value.remedy


def test_the_program_takes_every_length_that_the_factory_leaves_open(tmp_path: Path) -> None:
    loaded = load(f"{NETS}:text")
    program = torch.export.load(str(write(loaded, tmp_path).program)).module()
    ids, mask = torch.arange(30).view(1, 30), torch.ones(1, 30, dtype=torch.int64)
    wanted = loaded.content.opened.module(ids, mask).values()
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(program(ids, mask), wanted, strict=True))
