"""Any model: inputs read or made up, outputs compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright import tasks
from edgewright.core.config import DataSource
from edgewright.core.errors import InputError
from edgewright.core.model import Model, TensorSpec
from edgewright.core.task import Dataset, TaskSpec
from edgewright.device import tensor_files
from edgewright.tasks.tensors.generated import generate, open_dimensions
from edgewright.tasks.tensors.score import compare

onnx = pytest.importorskip("onnx")
TASK, SPEC = tasks.get("tensors"), TaskSpec("tensors")
INPUTS = (
    TensorSpec("input_ids", "int64", ("batch", "sequence")),
    TensorSpec("attention_mask", "int64", ("batch", "sequence")),
    TensorSpec("token_type_ids", "int64", ("batch", "sequence")),
)


@pytest.fixture
def encoder(tmp_path: Path) -> Model:
    """Three integer inputs; the first indexes a table of 30,000 rows through a cast."""
    helper, types = onnx.helper, onnx.TensorProto
    table = onnx.numpy_helper.from_array(np.zeros((30_000, 2), np.float32), "table")
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["input_ids"], ["index"], to=types.INT32),
            helper.make_node("Gather", ["table", "index"], ["out"]),
        ],
        "g",
        [helper.make_tensor_value_info(s.name, types.INT64, s.shape) for s in INPUTS],
        [helper.make_tensor_value_info("out", types.FLOAT, ("batch", "sequence", 2))],
        [table],
    )
    path = tmp_path / "encoder.onnx"
    onnx.save(helper.make_model(graph), path)
    return Model(path, "digest", INPUTS, (TensorSpec("out", "float32", ("batch", "sequence", 2)),), 17)


def read(model: Model, tmp_path: Path, path: str = "generated", **options: object) -> Dataset:
    return TASK.dataset(DataSource(path=path, **options), SPEC, model, tmp_path / "made")  # type: ignore[arg-type]


def test_made_up_inputs_are_plausible(encoder):
    made = generate(encoder, 0)
    assert all(made[s.name].shape == (1, 128) and made[s.name].dtype == np.int64 for s in INPUTS)
    assert (made["attention_mask"] == 1).all() and (made["token_type_ids"] == 0).all()
    assert made["input_ids"].min() >= 1000 and made["input_ids"].max() < 30_000
    assert len(np.unique(made["input_ids"])) > 100


def test_made_up_inputs_are_the_same_each_time_and_say_that_they_are_made_up(encoder, tmp_path):
    first, second = read(encoder, tmp_path, count=3), read(encoder, tmp_path / "elsewhere", count=3)
    assert first.digest == second.digest and len(first.samples) == 3 and not first.labelled
    assert "generated" in first.notes[0] and "never used to calibrate" in first.notes[0]
    assert first.digest != read(encoder, tmp_path, count=3, seed=1).digest
    arrays = [tensor_files.read(str(s.path))["input_ids"] for s in first.samples]
    assert not np.array_equal(arrays[0], arrays[1])
    assert TASK.dataset(None, SPEC, encoder, tmp_path / "made").samples


@pytest.mark.parametrize(
    ("spec", "shape", "low", "high"),
    [
        (TensorSpec("x", "float32", (None, 3, "h", "w")), (1, 3, 224, 224), 0, 1),
        (TensorSpec("x", "uint8", (1, "h", "w", 3)), (1, 224, 224, 3), 0, 255),
        (TensorSpec("x", "float32", ("n", 40)), (1, 40), -6, 6),
        (TensorSpec("x", "int64", ("n", "t")), (1, 128), 0, 1),
        (TensorSpec("flag", "bool", (2,)), (2,), True, True),
        (TensorSpec("position_ids", "int64", (1, 4)), (1, 4), 0, 3),
        (TensorSpec("scalar", "float16", ()), (), -6, 6),
    ],
)
def test_each_kind_of_input_can_be_made_up(tmp_path, spec, shape, low, high):
    graph = onnx.helper.make_graph([], "g", [], [])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "m.onnx")
    made = generate(Model(tmp_path / "m.onnx", "", (spec,), (), 17), 0)[spec.name]
    assert made.shape == shape and made.dtype == np.dtype(spec.dtype)
    assert made.min() >= low and made.max() <= high


def test_a_symbol_has_one_size():
    shapes = open_dimensions((TensorSpec("a", "float32", (1, "n")), TensorSpec("b", "float32", ("n", 7))))
    assert shapes == {"a": (1, 128), "b": (128, 7)}


def test_samples_are_files_of_arrays(encoder, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    arrays = {s.name: np.ones((1, 16), np.int32) for s in INPUTS}
    np.savez(folder / "a.npz", **arrays, extra=np.zeros(1))
    np.savez(folder / "b.npz", **arrays)
    data = read(encoder, tmp_path, str(folder))
    assert [s.id for s in data.samples] == ["a.npz", "b.npz"] and not data.notes


def test_a_lone_array_goes_to_the_only_input(tmp_path, encoder):
    single = Model(encoder.path, "", (TensorSpec("x", "float32", (1, None)),), (), 17)
    np.save(tmp_path / "a.npy", np.ones((1, 5), np.float32))
    np.savez(tmp_path / "b.npz", whatever=np.ones((1, 5), np.float32))
    for name in ("a.npy", "b.npz"):
        assert len(read(single, tmp_path, str(tmp_path / name)).samples) == 1


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"input_ids": np.ones((1, 4), np.int64)}, "no array 'attention_mask'"),
        ({s.name: np.ones((4,), np.int64) for s in INPUTS}, "is 4, but the model takes batch×sequence"),
        ({s.name: np.ones((1, 4), np.float32) for s in INPUTS}, "is float32, but the model takes int64"),
        ({s.name: np.array([[None]], dtype=object) for s in INPUTS}, "cannot be read as arrays"),
    ],
)
def test_arrays_that_do_not_fit_the_model_are_refused(encoder, tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=words):
        read(encoder, tmp_path, str(tmp_path / "a.npz"))


def test_data_that_are_no_arrays_are_refused(encoder, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.npz").write_bytes(b"junk")
    for path, words in (("empty", "holds no"), ("nowhere", "no tensors at"), ("x.npz", "cannot be read")):
        with pytest.raises(InputError, match=words):
            read(encoder, tmp_path, str(tmp_path / path))


def predictions(folder: Path, outputs: list[dict[str, np.ndarray]]) -> list[dict[str, str]]:
    folder.mkdir()
    for k, arrays in enumerate(outputs):
        tensor_files.write(str(folder / f"{k}.npz"), arrays)
    return [{"file": str(folder / f"{k}.npz")} for k in range(len(outputs))]


def test_the_metric_is_the_cosine_of_the_worst_output(tmp_path):
    draw = np.random.default_rng(0)
    reference = [{"a": draw.normal(size=(1, 9)), "b": draw.normal(size=(2, 3))} for _ in range(3)]
    same = TASK.agreement(None, predictions(tmp_path / "r", reference), predictions(tmp_path / "s", reference), SPEC)
    assert (same.name, same.value, same.others) == ("cosine", 1.0, {"snr_db": 200.0, "max_error": 0.0})
    wrong = [dict(row) for row in reference]
    wrong[1]["b"] = -wrong[1]["b"]
    result = TASK.agreement(None, predictions(tmp_path / "w", wrong), predictions(tmp_path / "t", reference), SPEC)
    assert result.value == pytest.approx(1 / 3) and result.resample([1]) == pytest.approx(-1) and len(result) == 3
    assert result.others["max_error"] == pytest.approx(2 * np.abs(reference[1]["b"]).max())


def test_snr_follows_its_formula():
    reference = np.random.default_rng(1).normal(size=1000)
    noise = np.random.default_rng(2).normal(size=1000) * 0.01
    cosine, snr, error = compare({"y": reference + noise}, {"y": reference})
    assert snr == pytest.approx(10 * np.log10((reference**2).sum() / (noise**2).sum()))
    assert 0.9999 < cosine < 1 and error == pytest.approx(np.abs(noise).max())


@given(st.lists(st.sampled_from([0.0, 1.0, -2.0, np.inf, -np.inf, np.nan]), min_size=1, max_size=5))
def test_infinities_that_both_give_are_no_difference(values):
    array = np.array(values)
    assert compare({"y": array}, {"y": array.copy()}) == (1.0, 200.0, 0.0)


def test_outputs_that_are_gone_or_of_another_shape_are_wholly_wrong():
    y = np.ones(3)
    for own in ({}, {"y": np.ones(4)}, {"y": np.array([1, np.nan, 1])}, {"y": y, "z": y}):
        assert compare(own, {"y": y}) == (0.0, 0.0, np.inf)
    assert compare({"y": np.zeros(3)}, {"y": y})[0] == 0.0


def test_few_calibration_samples_are_told(encoder, tmp_path):
    (finding,) = TASK.health(read(encoder, tmp_path, count=5), None, SPEC)
    assert finding.rule == "calibration-size" and "5" in finding.title
