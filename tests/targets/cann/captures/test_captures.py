"""The recorded captures of msprof and torch_npu: every file parses, and says what a person reads in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgewright import findings
from edgewright.core.errors import InputError
from edgewright.core.facts import Facts
from edgewright.core.profile import Profile
from edgewright.targets.cann.captures import read


@pytest.fixture(scope="module")
def folder(shared_dir: Path) -> Path:
    return shared_dir / "captures" / "cann"


@pytest.fixture(scope="module")
def profiles(folder: Path) -> dict[str, Profile]:
    found = read(folder)
    assert found
    return {profile.device.rpartition(", ")[2]: profile for profile in found}


def found_by(profile: Profile) -> dict[str, float]:
    facts = Facts(profile.device, "cann")
    return {finding.rule: finding.share for finding in findings.look(profile, facts)}


def test_each_capture_of_the_folder_is_a_profile(profiles: dict[str, Profile]) -> None:
    assert {name: profile.tool for name, profile in profiles.items()} == {
        "small": "torch_npu", "msprof": "msprof", "pt_level1": "torch_npu", "pt_standalone": "torch_npu",
    }  # fmt: skip


def test_every_file_parses_alone(folder: Path) -> None:
    files = [path for path in sorted(folder.iterdir()) if path.suffix in (".csv", ".json")]
    assert len(files) == 14
    for path in files:
        assert read(path), path.name


def test_msprof_s_kernels_are_operators_with_shapes_types_times_and_counters(profiles: dict[str, Profile]) -> None:
    profile = profiles["msprof"]
    matmul = next(o for o in profile.operators if o.name == "matmul_kernel")
    assert matmul.duration_us == pytest.approx(6.560 + 6.200 + 5.780 + 6.122 + 5.482)
    assert matmul.calls == 5 and matmul.kernel == "AI_CORE" and matmul.dtype == "fp16"
    assert matmul.inputs == ((32, 32), (32, 32)) and matmul.outputs == ((32, 32),)
    assert matmul.flops == 5 * 2 * 32**3
    assert matmul.bytes == 5 * (2 * 32 * 32 * 2 + 32 * 32 * 4), "two operands in fp16, the result in fp32"
    assert 0.013 < matmul.counters["mac_ratio"] < 0.017
    assert profile.device.startswith("NPU 0") and not profile.simulated


def test_msprof_s_time_divides_into_computing_copying_and_waiting(profiles: dict[str, Profile]) -> None:
    profile = profiles["msprof"]
    assert profile.phases["compute"] == pytest.approx(40.604)
    assert profile.phases["transfer"] == pytest.approx(2.160 + 2.280)
    assert sum(profile.phases.values()) == pytest.approx(profile.total_us)
    assert not any("PROFILING" in span.name for span in profile.timeline if not span.track.startswith("host"))
    assert any("which way the copies went" in note for note in profile.notes)


def test_time_stamps_keep_their_nanoseconds(profiles: dict[str, Profile]) -> None:
    """1778463028574314.896 µs as a float would be a quarter of a microsecond off."""
    device = [span for span in profiles["msprof"].timeline if not span.track.startswith("host")]
    first, second = (span.start_us for span in device if span.name == "aclnnInplaceNormal_CastAiCore_Cast")
    assert second - first == pytest.approx(576_936.848 - 576_114.892, abs=1e-6)


def test_steps_of_torch_npu_make_means(profiles: dict[str, Profile]) -> None:
    profile = profiles["pt_standalone"]
    assert profile.iterations == 10
    (kernel,) = profile.operators
    assert kernel.calls == 1 and kernel.duration_us == pytest.approx(88.842)
    assert kernel.flops == 2 * 256**3
    assert profile.phases == {"compute": pytest.approx(88.842), "idle": pytest.approx(265.947)}
    assert profile.total_us == pytest.approx(354.789)


def test_memory_and_step_times_without_kernels_still_make_a_profile(profiles: dict[str, Profile]) -> None:
    profile = profiles["pt_level1"]
    assert profile.operators == ()
    assert profile.phases["communication"] == pytest.approx(101963.203)
    assert max(point.bytes for point in profile.memory) > 1000 << 20
    assert any(point.owner == "aten::_convolution" for point in profile.memory)
    assert any("every finding about operators" in note for note in profile.notes)


def test_operands_that_disagree_give_no_operations(profiles: dict[str, Profile]) -> None:
    """The capture's own shapes (81920,4096 by 8192,512) fit no matrix product."""
    assert all(o.flops == 0 for o in profiles["small"].operators if o.type == "MatMulV2")
    assert profiles["small"].precision == "bf16"


def test_the_rules_find_what_the_captures_show(profiles: dict[str, Profile]) -> None:
    assert {"gaps", "matmuls", "copies"} <= set(found_by(profiles["msprof"]))
    assert {"gaps", "matmuls", "memory_bound"} <= set(found_by(profiles["pt_standalone"]))
    assert found_by(profiles["pt_standalone"])["gaps"] == pytest.approx(0.75, abs=0.01)
    assert {"memory_bound", "matmuls"} <= set(found_by(profiles["small"]))
    assert found_by(profiles["pt_level1"]) == {"gaps": pytest.approx(0.188, abs=0.001)}


def test_a_lone_trace_tells_its_findings_and_which_it_cannot_support(folder: Path) -> None:
    (profile,) = read(folder / "pt_standalone_trace_view.json") or ()
    assert profile.iterations == 10
    assert profile.operators[0].duration_us == pytest.approx(88.842)
    assert "gaps" in found_by(profile)
    told = " ".join(profile.notes)
    for missing in ("mac ratio", "memory_bound", "no shapes", "float_in_int8"):
        assert missing in told


def test_profiles_survive_json(profiles: dict[str, Profile]) -> None:
    for profile in profiles.values():
        again = Profile.from_json(json.loads(json.dumps(profile.to_json())))
        assert again.total_us == profile.total_us and len(again.operators) == len(profile.operators)


def test_what_is_no_capture_is_nobody_s(tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    (tmp_path / "package.json").write_text('{"name": "x"}')
    assert read(tmp_path) is None
    assert read(tmp_path / "notes.csv") is None
    assert read(tmp_path / "package.json") is None


def test_raw_data_names_the_command_that_parses_them(tmp_path: Path) -> None:
    data = tmp_path / "PROF_000001_20260511_AB" / "device_0" / "data"
    data.mkdir(parents=True)
    (data / "ts_track.data.0.slice_0").write_bytes(b"\1\2\3")
    with pytest.raises(InputError, match=r"msprof --export=on .*PROF_000001_20260511_AB"):
        read(tmp_path)


def test_a_capture_is_known_by_its_columns_under_any_name(folder: Path, tmp_path: Path) -> None:
    copied = tmp_path / "my kernels.csv"
    copied.write_bytes((folder / "pt_standalone_kernel_details.csv").read_bytes())
    trace = tmp_path / "my trace.json"
    trace.write_bytes((folder / "msprof_timeline_20260511093035.json").read_bytes())
    assert (read(copied) or ())[0].operators[0].duration_us == pytest.approx(88.842)
    assert (read(trace) or ())[0].operators
