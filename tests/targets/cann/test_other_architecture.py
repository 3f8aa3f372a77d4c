"""An .om may be bound to the processor of the machine that converts: atc is told the device's where it is another."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import pytest

from edgewright.core.recipe import Port, Recipe
from edgewright.targets.cann.atc_settings import command
from edgewright.targets.cann.handover import _for_any_host

PORTS = (Port("image", "images", "float32", (1, 3, 64, 64)),)


def recipe(**chain: Any) -> Recipe:
    fixed = {"soc_version": "Ascend310B4", "cann": "8.1.RC1"}
    return Recipe(name="fp16", family="cann", precision="fp16", toolchain={**fixed, **chain})


def told(one: Recipe, folder: Path) -> list[str]:
    return [word for word in command("main", one, PORTS, folder, unit=False) if word.startswith("--host_env")]


def test_a_device_like_this_machine_is_not_mentioned(tmp_path: Path) -> None:
    assert told(recipe(machine=platform.machine()), tmp_path) == []


def test_a_device_of_another_architecture_is_named_when_this_machine_converts(tmp_path: Path) -> None:
    other = "x86_64" if platform.machine() == "aarch64" else "aarch64"
    assert told(recipe(machine=other), tmp_path) == ["--host_env_os=linux", f"--host_env_cpu={other}"]


def test_an_exported_conversion_always_names_a_known_device(tmp_path: Path) -> None:
    one = _for_any_host(recipe(machine="x86_64", soc_version="Ascend310P3"))
    assert told(one, tmp_path) == ["--host_env_os=linux", "--host_env_cpu=x86_64"]


@pytest.mark.parametrize(
    ("chip", "words"), [("Ascend310B4", ["--host_env_os=linux", "--host_env_cpu=aarch64"]), ("Ascend310P3", [])]
)
def test_an_exported_conversion_knows_that_310b_boards_are_arm(tmp_path: Path, chip: str, words: list[str]) -> None:
    assert told(_for_any_host(recipe(soc_version=chip, machine="")), tmp_path) == words
