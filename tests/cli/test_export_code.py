"""export-code as a command: a project that builds on what is here, and words that make no sense."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture
def configuration(tmp_path: Path, tiny_onnx: Path) -> Path:
    """A classifier with a few pictures to record answers on."""
    (tmp_path / "pictures").mkdir()
    for k in range(6):
        pixels = np.random.default_rng(k).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"pictures/{k}.png"), pixels)
    path = tmp_path / "edgewright.yaml"
    path.write_text(f"""
model: {{source: {tiny_onnx}}}
task: {{kind: classification, labels: [a, b, c, d, e, f, g, h, i, j]}}
data: {{validation: {{path: pictures, labels: none}}}}
targets: [{{name: here, family: openvino}}]
""")
    return path


def test_a_program_is_written_with_its_model_and_golden_samples(edgewright, configuration: Path) -> None:
    said = edgewright("export-code", "--language", "cpp", configuration, "-o", "app", "--json")
    assert said.code == 0, said.err
    found = said.json()
    assert (found["kind"], found["language"], found["backend"]) == ("program", "cpp", "openvino")
    folder = configuration.parent / "app"
    assert {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} == set(found["files"])
    assert {"CMakeLists.txt", "src/task_data.hpp", "model/main.xml", "golden/golden.json"} < set(found["files"])
    assert json.loads((folder / "golden/golden.json").read_text())["samples"]
    assert "unmeasured" in found["notes"][0]
    assert 'task.name = "' in (folder / "src/task_data.hpp").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("export-code", "convrt", "edgewright.yaml", "-o", "app"), "There is no code of the kind 'convrt'."),
        (("export-code", "a", "b", "c", "-o", "app"), "export-code takes a kind and one configuration."),
        (("export-code", "edgewright.yaml", "-o", "pictures"), "pictures is not empty."),
        (("export-code", "edgewright.yaml", "-o", "edgewright.yaml"), "edgewright.yaml is a file."),
        (("export-code", "edgewright.yaml", "-o", "app", "--language", "rust"), "There is no program in rust."),
        (("export-code", "edgewright.yaml", "-o", "app", "--backend", "cuda"), "There is no C++ backend for cuda."),
        (("export-code", "nowhere.yaml", "-o", "app"), "nowhere.yaml"),
    ],
)
def test_words_that_make_no_sense_end_with_2_and_a_sentence(edgewright, configuration, words, message) -> None:
    said = edgewright(*words)
    assert said.code == 2
    assert message in said.err
    assert not (configuration.parent / "app").exists()
