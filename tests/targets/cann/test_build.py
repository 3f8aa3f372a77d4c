"""Recipes to .om files by the vendor's commands, on the stand-in: what is decided, what is refused, what is kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from om import small

from edgewright import targets, transports
from edgewright.core.errors import ConfigError, InputError, ToolError
from edgewright.core.facts import Facts
from edgewright.core.model import Model, TensorSpec
from edgewright.core.task import Dataset, Sample, TaskSpec
from edgewright.targets import emit
from edgewright.targets.calibration import Calibration
from edgewright.targets.cann import build as cann_build
from edgewright.targets.cann import sensitivity
from edgewright.targets.cann.conversion import prepare

TASK = TaskSpec("tensors")
CANN = targets.get("cann")
FACTS = Facts(
    "here", "cann", machine="x86_64", simulated=True, accelerator={"soc_version": "Ascend310B4", "cann": "8.1.RC1"}
)


def model_of(path: Path, shape: tuple[Any, ...] = (1, 3, 16, 16), opset: int = 11) -> Model:
    return Model(path, path.name, (TensorSpec("x", "float32", shape),), (TensorSpec("y", "float32", ()),), opset)


@pytest.fixture
def model(tmp_path) -> Model:
    small(tmp_path / "small.onnx", [1, 3, 16, 16])
    return model_of(tmp_path / "small.onnx")


@pytest.fixture
def samples(tmp_path) -> Dataset:
    random = np.random.default_rng(5)
    found = []
    for i in range(6):
        path = tmp_path / f"{i}.npz"
        np.savez(path, x=random.normal(size=(1, 3, 16, 16)).astype(np.float32))
        found.append(Sample(str(i), path))
    return Dataset("samples", tuple(found), False, "0")


@pytest.fixture
def build(toolkit, tmp_path, monkeypatch):
    """build(model, recipe, samples) -> (result, folder), with the tools of the stand-in."""
    for name in ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CANNSIM_STATE_DIR", str(toolkit.state))

    def run(model, recipe, samples=None, prefix=toolkit.prefix, task=TASK):
        async def story():
            host = await transports.get("local").open("local", root=str(tmp_path / "host"))
            try:
                chained = replace(recipe, toolchain={**recipe.toolchain, "toolkit": str(prefix)})
                return await CANN.build_on(host, {"main": model}, task, chained, samples, tmp_path / recipe.name)
            finally:
                await host.close()

        return asyncio.run(story()), tmp_path / recipe.name

    return run


def recipes(model: Model, **options: Any) -> dict[str, Any]:
    return {recipe.name: recipe for recipe in CANN.offers(model, TASK, FACTS, options, True)}


def test_the_ladder_repairs_only_what_failed(model):
    found = recipes(model)
    assert list(found) == ["int8", "mixed", "fp16", "fp16-mixed", "origin"]
    assert found["mixed"].only_if_failed == ("int8",)
    assert found["origin"].only_if_failed == ("fp16", "fp16-mixed")


def test_int8_is_calibrated_counted_and_called_simulated(build, model, samples):
    result, folder = build(model, recipes(model)["int8"], samples)
    assert result.quantised == {"weighted": 2, "int8": 2}
    assert result.service.simulated
    assert (folder / "model" / "main.om").is_file() and (folder / "logs" / "main" / "amct_onnx.log").is_file()
    assert any("6 batches" in note for note in result.notes)


def test_a_batch_is_calibrated_and_converted_whole(build, model, samples):
    recipe = replace(recipes(model)["int8"], batch=4)
    result, _ = build(model, recipe, samples)
    assert result.service.engines["main"].inputs[0].shape == (4, 3, 16, 16)
    assert any("2 batches" in note for note in result.notes), "six samples, the last batch filled up"


def test_mixed_leaves_the_layer_in_fp16_that_int8_changes_most(build, model, samples):
    result, _ = build(model, recipes(model)["mixed"], samples)
    assert result.quantised == {"weighted": 2, "int8": 1}
    assert any("stay in FP16" in note for note in result.notes)


def test_layers_are_ranked_by_the_noise_that_eight_bits_add(model, samples):
    graph = emit.read_graph(model.path)
    port = emit.ports(graph, TASK)
    ranked = sensitivity.rank(graph, Calibration(samples, TASK, *port, 6))
    assert {layer.name for layer in ranked} == {"conv1", "conv2"}
    assert 10 < ranked[0].sqnr_db <= ranked[-1].sqnr_db < 80


@pytest.mark.parametrize("batch", [2, 4, 8])
def test_layers_have_the_same_ranks_in_a_batch(model, samples, batch, tmp_path):
    alone = emit.read_graph(model.path)
    small(tmp_path / "batch.onnx", [batch, 3, 16, 16])
    graph = emit.read_graph(tmp_path / "batch.onnx")
    ranks = [sensitivity.rank(each, Calibration(samples, TASK, *emit.ports(each, TASK), 4)) for each in (alone, graph)]
    assert [layer.name for layer in ranks[0]] == [layer.name for layer in ranks[1]]


def test_a_mixed_model_is_built_for_a_batch(build, model, samples):
    result, _ = build(model, replace(recipes(model)["mixed"], batch=4), samples)
    assert result.service.engines["main"].inputs[0].shape == (4, 3, 16, 16)
    assert any("stay in FP16" in note for note in result.notes)


def test_a_model_with_quantisation_of_its_own_is_taken_over_and_never_calibrated(build, tmp_path, model, samples):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.left = [{"x": np.load(sample.path)["x"]} for sample in samples.samples]

        def get_next(self):
            return self.left.pop() if self.left else None

    own = tmp_path / "qat.onnx"
    quantize_static(
        str(model.path), str(own), Reader(), quant_format=QuantFormat.QDQ, weight_type=QuantType.QInt8,
        activation_type=QuantType.QInt8, per_channel=False,
    )  # fmt: skip
    carried = model_of(own)
    found = recipes(carried)
    assert list(found) == ["int8"] and found["int8"].quantiser == {"kind": "convert"}
    result, folder = build(carried, found["int8"])
    assert result.quantised["int8"] == 2 and (folder / "model" / "main.om").is_file()


def test_what_the_vendors_tool_refuses_comes_with_its_code(build, tmp_path, model):
    recipe = recipes(model)["fp16"]
    wrong = replace(recipe, toolchain={**recipe.toolchain, "op_precision_mode": {"Relu": "as fast as it goes"}})
    with pytest.raises((ToolError, ConfigError)) as caught:
        build(model, wrong)
    assert caught.value.remedy


def test_without_a_toolkit_the_way_around_is_named(build, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ToolError, match="no CANN toolkit") as caught:
        build(model, recipes(model)["fp16"], prefix=tmp_path / "nowhere")
    assert "export-code convert" in caught.value.remedy


def test_an_open_shape_is_refused_with_the_key_to_set(build, tmp_path):
    small(tmp_path / "open.onnx", [1, 3, "h", "w"])
    model = model_of(tmp_path / "open.onnx", (1, 3, None, None))
    with pytest.raises(InputError, match="fixed shapes") as caught:
        build(model, recipes(model)["fp16"])
    assert "inputs:" in caught.value.remedy


def test_another_chip_than_the_devices_is_refused(model):
    with pytest.raises(ConfigError, match="Ascend310B1"):
        recipes(model, soc_version="Ascend310B1")
    with pytest.raises(ConfigError, match=r"310B4|310B1"):
        recipes(model, soc_version="Ascend310B")


def test_a_chip_that_no_table_has_is_converted_for_by_the_devices_word(model, tmp_path):
    facts = replace(FACTS, accelerator={**FACTS.accelerator, "soc_version": "Ascend310B7"})
    for options in ({}, {"soc_version": "Ascend310B7"}):
        recipe = next(one for one in CANN.offers(model, TASK, facts, options, False) if one.name == "fp16")
        (made,) = prepare({"main": model}, TASK, recipe, None, tmp_path / str(len(options)))
        assert "--soc_version=Ascend310B7" in made.commands[0]
    assert "reported" not in recipes(model)["fp16"].toolchain


def test_the_file_handed_to_the_converter_is_opset_11(build, tmp_path, samples):
    small(tmp_path / "new.onnx", [1, 3, 16, 16])
    graph = onnx.load(str(tmp_path / "new.onnx"))
    graph.opset_import[0].version = 17
    graph.ir_version = 8
    onnx.save(graph, str(tmp_path / "new.onnx"))
    model = model_of(tmp_path / "new.onnx", opset=17)
    result, _ = build(model, recipes(model)["fp16"])
    assert any("opset 17 → 11" in note for note in result.notes)


@pytest.mark.parametrize(("opset", "written"), [(11, 6), (13, 7)])
def test_the_file_has_the_format_of_its_operator_set(build, tmp_path, opset, written):
    """ONNX Runtime 1.5.2, which AMCT of CANN 8.0 uses, reads format 7 at most."""
    small(tmp_path / "new.onnx", [1, 3, 16, 16])
    graph = onnx.load(str(tmp_path / "new.onnx"))
    graph.opset_import[0].version, graph.ir_version = opset, 10
    onnx.save(graph, str(tmp_path / "new.onnx"))
    model = model_of(tmp_path / "new.onnx", opset=opset)
    recipe = recipes(model)["fp16"]
    kept = replace(recipe, graph=tuple(step for step in recipe.graph if step.kind != "set_opset"))
    (made,) = prepare({"main": model}, TASK, kept, None, tmp_path / "work")
    assert onnx.load(str(made.folder / "model.onnx")).ir_version == written


def test_a_converter_newer_than_the_device_is_refused(build, model, toolkit):
    with pytest.raises(ToolError, match=r"CANN 9\.1\.0 .* CANN 8\.1\.RC1, which the device has") as caught:
        build(model, recipes(model)["fp16"], prefix=toolkit.prefix / "cann")
    assert "8.1.RC1 or older" in caught.value.remedy


def test_what_the_converter_reads_counts_and_not_what_the_devices_would(model):
    facts = replace(FACTS, accelerator={**FACTS.accelerator, "cann": "9.1.0"})
    recipe = next(one for one in CANN.offers(model, TASK, facts, {}, True) if one.name == "fp16")
    assert recipe.graph[-1].params["at_most"] == 18
    theirs = cann_build._for_converter(recipe, "8.1.RC1", "here")
    assert theirs.graph[-1].params == {"version": 11, "at_most": 13} and theirs.toolchain["cann"] == "8.1.RC1"
    assert cann_build._for_converter(recipe, "", "here") == recipe


@pytest.mark.parametrize(("cann", "at_most"), [("8.0.RC3", 11), ("8.1.RC1", 13), ("9.1.0", 18), ("", 11)])
def test_int8_may_use_a_newer_operator_set_where_amct_is_not_known_to_refuse_it(model, cann, at_most):
    facts = replace(FACTS, accelerator={**FACTS.accelerator, "cann": cann})
    found = {one.name: one for one in CANN.offers(model, TASK, facts, {}, True)}
    assert found["int8"].graph[-1].params == {"version": 11, "at_most": at_most}


def test_modelslim_leaves_out_what_the_mixed_rung_and_the_recipe_name(model, samples, tmp_path):
    rungs = {}
    for name, recipe in recipes(model, quantiser="modelslim").items():
        if recipe.quantiser.get("kind"):
            kept = replace(recipe, keep_float=("conv2",) if name == "int8" else ())
            (made,) = prepare({"main": model}, TASK, kept, samples, tmp_path / name)
            text = (made.folder / "quantise.py").read_text()
            compile(text, "quantise.py", "exec")
            rungs[name] = next(line for line in text.splitlines() if line.startswith("EXCLUDED"))
            assert "exclude_nodes=EXCLUDED" in text and made.commands[0] == ("python3", "quantise.py")
    assert "['conv2']" in rungs["int8"]
    assert "conv" in rungs["mixed"], "the mixed rung is not the same INT8 again"


def test_gears_give_one_artefact_for_several_batches_without_int8(build, model):
    found = recipes(model, gears={"batch": [1, 2, 4]})
    assert list(found) == ["fp16", "fp16-mixed", "origin"] and "no INT8" in found["fp16"].reason
    result, folder = build(model, found["fp16"])
    assert result.service.engines["main"].inputs[0].shape == (None, 3, 16, 16)
    assert (folder / "model" / "main.om").is_file()


def test_gears_of_free_dimensions_take_one_number_each(build, tmp_path):
    small(tmp_path / "open.onnx", [1, 3, "h", "w"])
    model = model_of(tmp_path / "open.onnx", (1, 3, None, None))
    result, _ = build(model, recipes(model, gears={"dims": [[16, 16], [32, 24]]})["fp16"])
    assert result.service.engines["main"].inputs[0].shape == (1, 3, None, None)
    with pytest.raises(ConfigError, match="2 free dimensions"):
        build(model, recipes(model, gears={"dims": [[16], [32]]})["fp16"])


@pytest.mark.parametrize(
    "gears", [{"batch": [1]}, {"batch": "1,2"}, {"image": [[416], [640]]}, {"size": [1, 2]}, {"batch": [0, 2]}, {}, 4]
)
def test_gears_that_no_converter_takes_are_refused(model, gears):
    with pytest.raises(ConfigError):
        recipes(model, gears=gears)


@pytest.fixture
def vendors_image(toolkit, tmp_path, monkeypatch):
    """A toolkit whose atc needs a python3 that only the host's own PATH leads to, and an amct_onnx in ~/.local/bin, as
    `pip install --user` puts it; both hand over to the stand-in's."""
    home, python, user = tmp_path / "cann", tmp_path / "python3.11.13" / "bin", tmp_path / "user"
    real = toolkit.prefix / "ascend-toolkit" / "latest" / "bin"
    for folder in (home / "bin", python, user / ".local" / "bin"):
        folder.mkdir(parents=True)
    (home / "set_env.sh").write_text(f"export ASCEND_HOME_PATH={home}\nexport PATH={home}/bin:$PATH\n")
    needed = "python-for-atc"
    for path, text in (
        (python / needed, "exit 0"),
        (home / "bin" / "atc", f'{needed} || exit 9\nexec {real}/atc "$@"'),
        (user / ".local" / "bin" / "amct_onnx", f'{needed} || exit 9\nexec {real}/amct_onnx "$@"'),
    ):
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{python}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(user))
    return home


def test_tools_are_started_where_they_were_found_and_find_the_hosts_own_python(build, model, samples, vendors_image):
    _, folder = build(model, recipes(model)["int8"], samples, prefix=vendors_image)
    assert (folder / "model" / "main.om").is_file()
