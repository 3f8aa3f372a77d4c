"""A real detector: what `export-code` writes answers on the stand-in as the Python service does, box by box."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from workshop import ask, opencv

from edgewright.device.compare import overlap
from edgewright.pipeline.export_program import export_program
from edgewright.pipeline.progress import Silent
from edgewright.pipeline.project import open_project

pytestmark = [pytest.mark.slow, pytest.mark.shared]
IMAGES = 8


@pytest.fixture(scope="module")
def exported(toolkit, ascend, shared_dir, tmp_path_factory) -> Path:
    """The folder that export-code wrote, its program built, with an artefact store beside it."""
    pytest.importorskip("torch", reason="torch is not installed: the checkpoint is a PyTorch file")
    folder = tmp_path_factory.mktemp("coco")
    (folder / "images").mkdir()
    for path in sorted((shared_dir / "data/coco128/images/val2017").glob("*.jpg"))[:IMAGES]:
        shutil.copy(path, folder / "images")
    (folder / "detector.yaml").write_text(f"""
model: {{source: {shared_dir}/models/yolov5n-coco/yolov5n.pt, inputs: {{images: [1, 3, 640, 640]}}}}
task: {{kind: detection}}
data: {{validation: {{path: {folder}/images, labels: none}}}}
targets: [{{name: board, family: cann, options: {{toolkit: {toolkit.prefix}}}}}]
""")
    project = open_project(str(folder / "detector.yaml"), home=folder / "home")
    program = export_program(project, Silent(), out=folder / "app")
    assert program.backend == "ascendcl" and program.precision == "fp16"
    assert "unmeasured" in program.notes[0]
    (folder / "app/build").mkdir()
    shutil.copy2(ascend.exported(folder / "app"), folder / "app/build/predict")
    return folder


def test_the_golden_samples_recorded_by_the_service_are_met(exported, toolkit):
    done = toolkit.run("app/build/predict", "--golden", "app", cwd=exported)
    assert (done.returncode, json.loads(done.stdout)["mismatches"]) == (0, 0), done.stderr


def test_boxes_are_those_of_the_python_service(exported, toolkit, tmp_path):
    if opencv().endswith("OFF"):
        pytest.skip("libopencv-dev is not installed (tools/system-packages.sh): it reads the photos")
    expected = by_python(exported, toolkit, tmp_path)
    for mode in ("device", "host"):
        environment = toolkit.environment(8, CANNSIM_RUN_MODE=mode)
        lines = ask(exported / "app/build/predict", exported / "images", environment=environment)
        assert len(lines) == IMAGES
        total = 0
        for line in lines:
            seen, wanted = line["prediction"], expected[line["name"]]
            assert [row[0] for row in seen] == [row[0] for row in wanted], line["name"]
            for left, right in zip(seen, wanted, strict=True):
                assert abs(left[1] - right[1]) <= 1e-4
                assert overlap(left, right) >= 0.999
            total += len(seen)
        assert total > 20


def by_python(exported: Path, toolkit: Any, tmp_path: Path) -> dict[str, Any]:
    """Predictions of the service folder that the program was exported from, by name of the picture."""
    (service,) = (path.parent for path in (exported / "home/cache/artifact").glob("*/service.json"))
    samples = [{"id": path.name, "path": str(path)} for path in sorted((exported / "images").iterdir())]
    asked = {"do": "predict", "samples": samples, "thresholds": "serve", "out": str(tmp_path / "out.jsonl")}
    done = subprocess.run(
        [sys.executable, "-m", "edgewright.device.worker", str(service)],
        input=json.dumps(asked) + "\n" + json.dumps({"do": "stop"}) + "\n",
        env={**toolkit.environment(8), "PYTHONPATH": str(service / "app")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    return {row["id"]: row["prediction"] for row in rows}
