from __future__ import annotations

import json
import re

import pytest


@pytest.fixture
def folder(root):
    return root / "examples" / "digits"


def test_the_checkpoint_is_small_and_read_without_running_it(folder):
    from edgewright.sources.yolov5.checkpoint import read_checkpoint

    file = folder / "digits.pt"
    assert file.stat().st_size <= 4 * 1000 * 1000
    found = read_checkpoint(file)
    assert found.labels == tuple("0123456789")
    assert found.layout == "state_dict"
    assert found.architecture.strides == (8, 16, 32)


def test_the_checkpoint_is_of_the_network_that_train_describes(folder, example):
    pytest.importorskip("torch", reason="torch is not installed: pip install 'edgewright[torch]'")
    from edgewright.sources.yolov5.architecture import read_architecture
    from edgewright.sources.yolov5.checkpoint import read_checkpoint

    described = read_architecture(example("digits/train.py").NETWORK)
    assert read_checkpoint(folder / "digits.pt").architecture.layers == described.layers


@pytest.mark.slow
def test_the_detector_finds_digits_in_handwriting_it_never_saw(folder, example, scenes, tmp_path):
    stored = json.loads((folder / "accuracy.json").read_text())
    data = scenes.write_dataset(tmp_path, {"val": 250})
    found = example("digits/evaluate.py").evaluate(folder / "digits.pt", data)
    assert found.map50.value >= 0.9
    # The stored figure is of 3,000 scenes, the first 250 of them these: it lies within what chance allows.
    assert found.map50.low - 0.005 <= stored["map50"]["value"] <= found.map50.high + 0.005
    assert found.map50_95.low - 0.01 <= stored["map50_95"]["value"] <= found.map50_95.high + 0.01


def test_the_figures_in_the_readme_are_the_stored_ones(folder):
    stored = json.loads((folder / "accuracy.json").read_text())
    text = (folder / "README.md").read_text()
    for name, metric in (("mAP50", "map50"), ("mAP50-95", "map50_95")):
        row = re.search(rf"^\| {name} \| ([\d.]+) \| ([\d.]+) to ([\d.]+) \|", text, re.MULTILINE)
        assert row is not None
        kept = stored[metric]
        assert [float(n) for n in row.groups()] == [round(kept[key], 3) for key in ("value", "low", "high")]
    assert f"{stored['scenes']:,} scenes" in text
    assert f"{stored['digits']:,} digits" in text
