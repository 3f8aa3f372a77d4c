"""Facts come from the device itself, and a precision that did not run has no peak."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgewright import targets, transports
from edgewright.core.errors import DeviceError
from edgewright.core.profile import Profile
from edgewright.core.recipe import Artifact, Recipe
from edgewright.core.task import Dataset
from edgewright.device import probe
from edgewright.targets import probing, profiling


def with_link(root: Path, work: Any) -> Any:
    async def story() -> Any:
        link = await transports.get("local").open("local", root=str(root))
        try:
            return await work(link)
        finally:
            await link.close()

    return asyncio.run(story())


@pytest.mark.slow
def test_onnxruntime_peaks_are_measured_and_plausible(tmp_path: Path) -> None:
    facts = with_link(tmp_path, targets.get("onnxruntime").probe)
    assert facts.cores >= 1 and facts.memory > 1 << 28 and facts.runtimes["onnxruntime"]
    assert 0.1 < facts.peaks["fp32"] < 1e5 and facts.peaks["int8"] > 0.1
    assert "bf16" not in facts.peaks
    assert 0.1 < facts.bandwidth < 1e4


def test_the_null_family_has_facts_but_no_peaks(tmp_path: Path) -> None:
    facts = with_link(tmp_path, targets.get("null").probe)
    assert facts.peaks == {} and facts.python and facts.bandwidth > 0


def test_a_runtime_that_is_not_there_is_a_device_error() -> None:
    answer = {"facts": {"device": "d", "family": "x"}, "unusable": True, "problems": ["ImportError: no x"]}
    with pytest.raises(DeviceError, match="no x"):
        probing._read(json.dumps(answer), "", "x")


@pytest.mark.parametrize("stdout", ["", "not json", "{}", '{"facts": {"device": 3}}', '{"facts": []}'])
def test_a_probe_that_gives_no_facts_is_a_device_error(stdout: str) -> None:
    with pytest.raises(DeviceError, match="broken"):
        probing._read(stdout, "it is broken", "x")


def test_the_probe_needs_a_folder() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgewright.device.probe"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "usage" in done.stderr


def test_cores_are_not_more_than_this_process_may_use(tmp_path: Path) -> None:
    found = probe.facts(str(tmp_path))
    assert 1 <= found["cores"] <= found["threads"]


def test_a_profile_is_taken_where_the_service_runs(service: Any, pictures: Dataset, tmp_path: Path) -> None:
    recipe, made = service("onnxruntime", "fp32")
    from edgewright.core.recipe import ServiceSpec

    artifact = Artifact(recipe, Path(made.folder), {}, ServiceSpec.from_json(made.spec), 1, 0.0)
    profile = with_link(tmp_path, lambda link: profiling.profile(artifact, pictures, link))
    assert isinstance(profile, Profile) and isinstance(recipe, Recipe)
    assert profile.tool == "onnxruntime" and set(profile.phases) == {"preprocess", "compute", "postprocess"}
