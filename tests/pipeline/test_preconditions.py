"""What a bundle needs is data in it, and a device that is something else is told before a byte is sent."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
from board import Board, health
from stand_in import Toolkit

from edgewright.core.config import ServeConfig, TargetConfig
from edgewright.core.errors import InputError, RejectedRelease
from edgewright.core.record import canonical, digest_of
from edgewright.pipeline.bundle import Bundle, Needs, read_bundle, write_bundle
from edgewright.pipeline.deploy import plan_deploy, refuse_unfit
from edgewright.pipeline.golden import Golden
from edgewright.pipeline.pack import needs

STATUS = {
    "machine": "aarch64",
    "python": "3.9.2",
    "memory": 4 << 30,
    "disk_free": 1 << 30,
    "libc": "glibc 2.31",
    "runtimes": {"cann": "8.1.RC1"},
    "soc_version": "Ascend310B4",
    "current": None,
}
FITTING = Needs(
    machine="aarch64",
    python="3.8",
    memory_bytes=1 << 30,
    disk_bytes=1 << 20,
    runtimes={"cann": ("8.1", "8.2")},
    chip="310B4",
    soc_version="Ascend310B4",
    glibc="2.28",
)


def bundle(needed: Needs) -> Bundle:
    return Bundle(Path(), "", 0, {}, {}, needed, "", "", "")


def test_a_device_that_is_what_the_bundle_needs_is_not_refused() -> None:
    refuse_unfit(bundle(FITTING), STATUS)
    refuse_unfit(bundle(Needs()), {**STATUS, "libc": "", "soc_version": ""})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"soc_version": "Ascend310B1"}, r"compiled for Ascend310B4, and the device has Ascend310B1"),
        ({"soc_version": ""}, r"compiled for Ascend310B4, and the device shows no such chip"),
        ({"machine": "x86_64"}, "checked on aarch64"),
        ({"runtimes": {"cann": "8.2.RC1"}}, "has 8.2.RC1"),
        ({"runtimes": {"cann": "7.0.0"}}, r"has 7\.0\.0"),
        ({"libc": "glibc 2.27"}, "needs glibc 2.28, and the device has glibc 2.27"),
        ({"libc": ""}, "the device has none"),
        ({"python": "3.7.9"}, r"has Python 3\.7\.9"),
        ({"memory": 512 << 20}, "512 MiB of memory"),
        ({"disk_free": 30 << 20}, "30 MiB of disk free"),
    ],
)
def test_each_difference_is_refused_in_a_sentence(change: dict[str, Any], said: str) -> None:
    with pytest.raises(RejectedRelease, match=said) as caught:
        refuse_unfit(bundle(FITTING), {**STATUS, **change})
    assert caught.value.remedy


def test_packages_for_one_python_are_not_sent_to_a_later_one() -> None:
    needed = replace(FITTING, python="3.9", python_below="3.10")
    refuse_unfit(bundle(needed), STATUS)
    with pytest.raises(RejectedRelease, match=r"Python 3\.11\.2"):
        refuse_unfit(bundle(needed), {**STATUS, "python": "3.11.2"})


def test_the_chip_and_the_labels_of_the_artefact_become_needs(tmp_path: Path) -> None:
    artifact = tiny.artifact(tmp_path / "artifact")
    recipe = replace(artifact.recipe, toolchain={"soc_version": "Ascend310B4", "cann": "8.1.RC1"})
    found = needs(replace(artifact, recipe=recipe), Golden(tmp_path, 0, {"cann": "8.1.RC1"}, "aarch64"))
    assert (found.soc_version, found.chip) == ("Ascend310B4", "310B4")
    assert (found.labels, found.labels_digest) == (2, digest_of(["cat", "dog"]))
    assert found.disk_bytes > 10_000


@pytest.mark.parametrize("labels", [["dog", "cat"], ["cat"], ["cat", "dog", "cow"], ["background", "cat", "dog"]])
def test_labels_that_are_not_those_that_were_checked_are_refused(tmp_path: Path, labels: list[str]) -> None:
    artifact = tiny.artifact(tmp_path / "artifact")
    needed = needs(artifact, Golden(tmp_path, 0, {}, ""))
    files: dict[str, Path | bytes] = {name: artifact.folder / name for name in artifact.files}
    files["needs.json"] = canonical(needed)
    assert write_bundle(files, {}, "tiny", tmp_path / "whole").needs == needed
    service = json.loads((artifact.folder / "service.json").read_text())
    service["task"]["labels"] = labels
    files["service.json"] = json.dumps(service).encode()
    with pytest.raises(InputError, match="labels"):
        write_bundle(files, {}, "tiny", tmp_path / "bundle")
    with pytest.raises(InputError, match="labels"):
        read_bundle(tmp_path / "bundle")


def test_a_model_for_another_chip_is_refused_by_what_the_device_s_own_chip_says(
    board: Board, toolkit: Toolkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = board.bundle()

    def plan(soc: str) -> Any:
        async def go() -> Any:
            wanted = replace(sealed, needs=replace(sealed.needs, soc_version=soc))
            return await plan_deploy(wanted, TargetConfig(), ServeConfig(), await board.link())

        return asyncio.run(go())

    with pytest.raises(RejectedRelease, match="shows no such chip"):
        plan("Ascend310B4")
    for name, value in toolkit.environment(CANNSIM_SOC="Ascend310B4").items():
        monkeypatch.setenv(name, value)
    assert plan("Ascend310B4").steps
    with pytest.raises(RejectedRelease, match="compiled for Ascend910B3, and the device has Ascend310B4"):
        plan("Ascend910B3")
    assert not (board.root / "releases").exists()


def test_the_installer_refuses_what_was_sent_round_the_host_s_check(board: Board, tmp_path: Path) -> None:
    sealed = board.bundle()
    files: dict[str, Path | bytes] = {path: sealed.blob(digest) for path, digest in sealed.files.items()}
    files["needs.json"] = canonical(replace(sealed.needs, machine="riscv64"))
    for_another = write_bundle(files, {}, "tiny", tmp_path / "bundle")
    one = board.deploy(sealed)
    with pytest.raises(RejectedRelease, match="checked on riscv64"):
        board.deploy(replace(for_another, needs=sealed.needs))
    assert health(one.url)["release"] == sealed.digest and board.journal()[-1]["step"] == "refused"
