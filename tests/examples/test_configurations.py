from __future__ import annotations

from pathlib import Path

import pytest

from edgewright.core import config as configuration

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
OTHERS = ("\nfleet:", "\nkind: Job")
"""A fleet's file and a Job of Kubernetes are other kinds of files: tests/pipeline/fleet and tests/cli read them."""
FILES = sorted(p for p in EXAMPLES.rglob("*.yaml") if not any(key in p.read_text(encoding="utf-8") for key in OTHERS))


@pytest.mark.parametrize("file", FILES, ids=lambda p: p.relative_to(EXAMPLES).as_posix())
def test_every_example_is_a_valid_configuration(file):
    found = configuration.read(file)
    if found.data.prepare:
        script, _, function = found.data.prepare.rpartition(":")
        assert f"def {function}(" in (file.parent / script).read_text()


@pytest.mark.parametrize("file", FILES, ids=lambda p: p.relative_to(EXAMPLES).as_posix())
def test_what_an_example_names_is_in_the_repository_or_a_package(file):
    found = configuration.read(file)
    for source in (found.model.source, found.model.weights):
        if source is None or source.startswith("package://") or "shared" in source:
            continue
        assert (file.parent / source.partition(":")[0]).is_file()


def test_all_the_examples_are_there():
    names = {file.relative_to(EXAMPLES).as_posix() for file in FILES}
    wanted = {
        "digits/edgewright.yaml",
        "digits-classifier.yaml",
        "minilm.yaml",
        "yolov5n-coco.yaml",
        "watch-digits.yaml",
    }
    assert wanted <= names


def test_the_coco_example_finds_its_model_and_images(shared_dir, monkeypatch):
    monkeypatch.setenv("EDGEWRIGHT_SHARED", str(shared_dir))
    found = configuration.read(EXAMPLES / "yolov5n-coco.yaml")
    assert Path(found.model.source).is_file()
    for source in (found.data.calibration, found.data.validation):
        assert source is not None
        assert len(list(Path(source.path).glob("*.jpg"))) == 128
