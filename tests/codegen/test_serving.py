"""`serve: {engine: cpp}` from a built artefact to an answering service; a program that answers otherwise is refused."""

from __future__ import annotations

import asyncio
import json
import shutil
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from workshop import constant_model, needs, openvino_options, port, service, steps

from edgewright.core.config import ServeConfig, TargetConfig
from edgewright.core.errors import RejectedRelease
from edgewright.core.recipe import Artifact, EngineSpec, Recipe
from edgewright.core.task import Dataset, Sample
from edgewright.core.verdict import Decision
from edgewright.device.durable import sha256_of
from edgewright.pipeline.assemble import assemble
from edgewright.pipeline.deploy import deploy
from edgewright.pipeline.golden import record_golden
from edgewright.pipeline.native_program import PROGRAM, with_program
from edgewright.pipeline.pack import pack
from edgewright.pipeline.progress import Silent
from edgewright.pipeline.project import Project, open_project
from edgewright.pipeline.stop import stop
from edgewright.transports.local import MEMBER

pytestmark = pytest.mark.slow
SIDE = 32


@pytest.fixture
def project(tmp_path: Path) -> Any:
    path = tmp_path / "edgewright.yaml"
    path.write_text("model: {source: main.onnx}\nserve: {engine: cpp}\ntargets: [{name: here, family: openvino}]\n")
    found = open_project(str(path), home=tmp_path / "home")
    yield found
    stop(found.store)


def built(folder: Path) -> Artifact:
    """A detector of two boxes, as a build leaves it."""
    (folder / "model").mkdir(parents=True)
    rows = np.array([[[10, 12, 8, 6, 0.9, 0.1, 0.8, 0.2], [22, 20, 9, 9, 0.7, 0.9, 0.1, 0.1]]])
    constant_model(folder / "model/main.onnx", (1, SIDE, SIDE, 3), {"out": rows})
    entry = EngineSpec("model/main.onnx", {}, (port("x", (1, SIDE, SIDE, 3), "uint8"),), (port("out", (1, 2, 8)),))
    pre = steps(("letterbox", {"size": [SIDE, SIDE]}), ("layout", {"to": "NHWC"}))
    spec = service(pre, steps(("yolov5_flat", {"role": "out"}), ("nms", {}), ("unletterbox", {})), entry)
    assemble(spec, folder)
    files = {str(p.relative_to(folder)): sha256_of(str(p)) for p in sorted(folder.rglob("*")) if p.is_file()}
    return Artifact(Recipe("fp32", "openvino", "fp32"), folder, files, spec, 1000, 0.1)


def pictures(folder: Path) -> Dataset:
    folder.mkdir()
    samples = []
    for k in range(4):
        path = folder / f"{k}.png"
        cv2.imwrite(str(path), np.random.default_rng(k).integers(0, 256, (30, 44, 3), dtype=np.uint8))
        samples.append(Sample(str(k), path))
    return Dataset("pictures", tuple(samples), False, "pictures")


def test_the_program_is_built_packed_and_answers_as_the_service(project: Project, tmp_path, monkeypatch) -> None:
    needs("cmake", "make", "c++")
    openvino_options()
    monkeypatch.setenv("CMAKE_BUILD_TYPE", "None")  # a third of the time
    artifact, dataset = built(tmp_path / "built"), pictures(tmp_path / "pictures")
    target, serve = TargetConfig(name="here", family="openvino"), ServeConfig(engine="cpp")

    async def go() -> None:
        link = await MEMBER.open("local", root=str(project.store.root / "devices/here"))
        golden = await record_golden(project.store, artifact, dataset, link)
        native = await with_program(project, artifact, link, Silent())
        assert PROGRAM in native.files and PROGRAM not in artifact.files
        assert (await with_program(project, artifact, link, Silent())).folder == native.folder, "built once"
        bundle = pack(native, Decision("here", "pass", "fp32", ()), golden, tmp_path / "bundle")
        release = await deploy(bundle, target, serve, link)
        answer = posted(release.url, dataset.samples[0].path)
        assert [found["label"] for found in answer["predictions"]] == ["dog", "cat"]
        assert json.loads((golden.folder / "golden/golden.json").read_text())["samples"]
        wrong = shutil.copytree(golden.folder, tmp_path / "wrong")
        text = (wrong / "golden/golden.json").read_text()
        (wrong / "golden/golden.json").write_text(text.replace("[1, 0.72", "[1, 0.42"))
        assert (wrong / "golden/golden.json").read_text() != text
        liar = pack(native, Decision("here", "pass", "fp32", ()), replace(golden, folder=wrong), tmp_path / "liar")
        with pytest.raises(RejectedRelease, match="other answers"):
            await deploy(liar, target, serve, link)
        assert posted(release.url, dataset.samples[0].path)["predictions"] == answer["predictions"]
        await link.close()

    asyncio.run(go())


def posted(url: str, path: Path) -> Any:
    request = urllib.request.Request(url.rstrip("/") + "/infer", path.read_bytes(), {"Content-Type": "image/png"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)
