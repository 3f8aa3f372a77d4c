"""Doctor names each obstacle on the way to a running .om, with its remedy, and fails nothing that does not apply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgewright.core.facts import Check
from edgewright.targets.cann import compiling, doctor, npu_smi
from edgewright.targets.cann.chip import Answer, Sight
from edgewright.targets.cann.doctor import Findings, System
from edgewright.targets.cann.toolkit import Toolkit

Examined = Callable[..., dict[str, Check]]
BOARD = System(
    driver_root="/usr/local/Ascend",
    driver="25.0.rc1.1",
    firmware="7.5.0",
    nodes={"/dev/davinci0": True},
    container=False,
    python="/usr/bin/python3",
    python_version="3.9.2",
    packages={"numpy": "1.26.4"},
    compiler="/usr/bin/g++",
    operators=("ascend310b",),
    disk_free=8 << 30,
    memory_available=6 << 30,
    user="ann",
    root=False,
    group=True,
    member=True,
)
FOUND = Toolkit("/usr/local/Ascend/ascend-toolkit/latest", "8", "8.1.RC1", False, {}, {"atc": "/x/atc"})
SIGHT = Sight(npu_smi.parse_info("| 0 310B4 | OK | 7.2 37 15 / 15 |\n| 0 0 | NA | 0 1797 / 3513 |"))
ANSWER = Answer("libascendcl.so", 1, "Ascend310B4", "device", 1700 << 20, 3513 << 20)


@pytest.fixture
def examined(toolkit: Any, over_link: Callable[..., Any]) -> Examined:
    """examined(**variables): the checks of the stand-in by name."""

    def look(**variables: str) -> dict[str, Check]:
        home, state = str(toolkit.prefix / "ascend-toolkit" / "latest"), str(toolkit.state)
        listed = over_link(doctor.doctor, ASCEND_HOME_PATH=home, CANNSIM_STATE_DIR=state, **variables)
        return {check.name: check for check in listed}

    return look


def test_a_healthy_stand_in_passes_and_is_labelled(examined: Examined) -> None:
    found = examined()
    assert all(check.ok for check in found.values() if "conversion" not in check.name)
    labelled = {name for name, check in found.items() if check.detail.startswith("simulated: ")}
    assert labelled >= {"CANN", "driver and firmware", "npu-smi", "AscendCL", "health", "device memory", "atc", "AMCT"}
    assert not {name for name in labelled if name.startswith(("disk", "memory for", "numpy"))}


def is_wrong(check: Check) -> bool:
    return not check.ok and "conversion" not in check.name


@pytest.mark.parametrize(
    ("fault", "names", "word"),
    [
        ("-8005", {"npu-smi", "AscendCL"}, "HwHiAiUser"),
        ("no-permission", {"npu-smi", "AscendCL"}, "HwHiAiUser"),
        ("busy", {"npu-smi", "AscendCL"}, "-8020"),
        ("hot", {"health"}, "Alarm"),
        ("oom", {"device memory"}, "0 of 3513 MiB"),
    ],
)
def test_each_fault_of_the_device_is_shown(examined: Examined, fault: str, names: set[str], word: str) -> None:
    failed = {name: check for name, check in examined(CANNSIM_FAULT=fault).items() if is_wrong(check)}
    assert set(failed) == names
    assert all(check.remedy for check in failed.values())
    assert any(word in check.detail + check.remedy for check in failed.values())


def test_the_code_of_acl_is_named(examined: Examined) -> None:
    assert "507899" in examined(CANNSIM_FAULT="no-permission")["AscendCL"].detail


def test_without_cann_the_remedy_names_what_to_install(over_link: Callable[..., Any]) -> None:
    first = over_link(doctor.doctor)[0]
    assert (first.name, first.ok) == ("CANN", False) and "cannsim" in first.remedy


def test_a_host_without_a_chip_is_not_failed_for_it(over_link: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "atc").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "atc").chmod(0o755)
    (tmp_path / "opp/built-in/op_impl/ai_core/tbe/config/ascend310b").mkdir(parents=True)
    (tmp_path / "set_env.sh").write_text(f"export ASCEND_HOME_PATH={tmp_path}\nexport PATH={tmp_path}/bin:$PATH\n")
    found = {check.name: check for check in over_link(doctor.doctor, ASCEND_HOME_PATH=str(tmp_path))}
    assert all(check.ok for check in found.values() if check.required)
    assert "converts models" in found["chip"].detail
    assert "ascend310b" in found["operators of the chip"].detail
    assert not found["AMCT"].ok and "PyPI" in found["AMCT"].remedy
    assert "numpy" in found["numpy of atc"].detail


def checks_of(**changes: Any) -> dict[str, Check]:
    seen = replace(Findings(BOARD, FOUND, SIGHT, ANSWER), **changes)
    return {check.name: check for check in [*doctor._driver(seen), *doctor._chip(seen)]}


def test_a_board_in_order_passes() -> None:
    assert all(check.ok for check in checks_of().values())


def test_a_user_without_rights_is_told_the_group() -> None:
    system = replace(BOARD, nodes={"/dev/davinci0": False, "/dev/davinci_manager": False}, member=False)
    check = checks_of(system=system)["rights to the device"]
    assert not check.ok and "usermod -aG HwHiAiUser ann" in check.remedy and "davinci_manager" in check.detail


def test_a_container_without_device_files_is_told_what_to_mount() -> None:
    check = checks_of(system=replace(BOARD, nodes={}, container=True))["rights to the device"]
    assert not check.ok and "davinci_manager" in check.remedy


def test_a_missing_driver_is_told_the_order_of_installation() -> None:
    found = checks_of(system=replace(BOARD, driver="", firmware=""), sight=Sight(problem="none"))
    assert not found["driver"].ok and "driver first" in found["driver"].remedy
    assert not found["firmware"].ok


def test_an_alarm_is_shown_and_does_not_fail_a_board_that_answers() -> None:
    alarm = Sight(tuple(replace(one, health="Alarm") for one in SIGHT.chips))
    check = checks_of(sight=alarm)["health"]
    assert not check.ok and not check.required and "Alarm, 37 °C" in check.detail


def test_npu_smi_out_of_reach_does_not_fail_a_device_that_answers() -> None:
    found = checks_of(sight=Sight(problem="npu-smi cannot be started", remedy="Install it."))
    assert not found["npu-smi"].ok and not found["npu-smi"].required
    assert found["AscendCL"].ok and found["device memory"].ok


def converting(soc_version: str = "Ascend310B4", found: Toolkit = FOUND, **changes: Any) -> dict[str, Check]:
    listed = compiling.checks(found, replace(BOARD, **changes).to_json(), soc_version)
    return {check.name: check for check in listed}


def test_numpy_2_and_missing_packages_are_named_with_the_command() -> None:
    found = converting(packages={"numpy": "2.1.0", "sympy": "1.12", "attrs": "24"})
    assert "'numpy<2'" in found["numpy of atc"].remedy
    check = found["Python packages of atc"]
    assert "decorator" in check.detail and "sympy" not in check.detail
    assert check.remedy.startswith("/usr/bin/python3 -m pip install decorator")
    assert "not confirmed" in found["scipy of atc"].detail


def test_complete_packages_pass() -> None:
    packages = dict.fromkeys(compiling.PACKAGES, "1.0")
    assert all(check.ok for name, check in converting(packages=packages).items() if "atc" in name)


@pytest.mark.parametrize(
    ("soc_version", "family"),
    [
        ("Ascend310B4", "ascend310b"), ("Ascend310P3", "ascend310p"), ("Ascend310", "ascend310"),
        ("Ascend910B4-1", "ascend910b"), ("Ascend910_9382", "ascend910_93"), ("Ascend910B", "ascend910"),
        ("Ascend910PremiumA", "ascend910"),
    ],
)  # fmt: skip
def test_operators_are_looked_for_in_the_folder_of_the_chips_family(soc_version: str, family: str) -> None:
    assert compiling.operator_family(soc_version) == family
    assert converting(soc_version, operators=(family,))["operators of the chip"].ok
    missing = converting(soc_version, operators=("ascend610",))["operators of the chip"]
    assert not missing.ok and soc_version in missing.remedy


def test_a_runtime_without_atc_is_sent_to_another_machine() -> None:
    found = converting(found=replace(FOUND, tools={}))
    assert list(found) == ["atc"] and "another machine" in found["atc"].remedy


def test_a_small_board_is_advised_to_convert_elsewhere() -> None:
    disk, memory = compiling.room(disk=1 << 30, memory=2 << 30)
    assert not disk.ok and not memory.ok and "another machine" in memory.remedy
    assert not converting(compiler="")["g++ for kernels"].ok


def test_a_boards_other_nodes_may_be_shut_and_its_memorys_may_not() -> None:
    side = {"/dev/davinci0": True, "/dev/svm0": True, "/dev/upgrade": False, "/dev/hdmi": False}
    checks = {check.name: check for check in doctor._driver(Findings(replace(BOARD, nodes=side), FOUND, SIGHT, ANSWER))}
    assert checks["rights to the device"].ok
    other = checks["the board's other nodes"]
    assert not other.required and "/dev/upgrade, /dev/hdmi" in other.detail and "not confirmed" in other.detail
    shut = replace(BOARD, nodes={**side, "/dev/svm0": False})
    checks = {check.name: check for check in doctor._driver(Findings(shut, FOUND, SIGHT, ANSWER))}
    assert not checks["rights to the device"].ok


def test_a_container_is_told_of_both_kinds_of_nodes() -> None:
    inside = replace(BOARD, container=True, nodes={})
    checks = {check.name: check for check in doctor._driver(Findings(inside, FOUND, SIGHT, ANSWER))}
    remedy = checks["rights to the device"].remedy
    assert "devmm_svm" in remedy and "svm0" in remedy.replace("devmm_svm", "") and "dvpp_cmdlist" in remedy
