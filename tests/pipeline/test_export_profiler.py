"""The exported profiling scripts: what is written, that they compile, and what they do where they can be run.

There is no torch_npu here: a recorder in its place (support/torch_npu_recorder.py) proves the order of calls.
"""

from __future__ import annotations

import asyncio
import json
import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch_npu_recorder
from stand_in import Toolkit

from edgewright.core.config import parse
from edgewright.core.errors import ConfigError, InputError, ToolError
from edgewright.pipeline.export_profiler import export_profiler
from edgewright.pipeline.import_profile import import_profile
from edgewright.pipeline.progress import Silent
from edgewright.pipeline.project import Project
from edgewright.pipeline.remote_profile import profile_there, remote_profile
from edgewright.store.cache import Store

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A small convolutional network as an exported program."""
    folder = tmp_path_factory.mktemp("profiler")

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 8, 3, padding=1)
            self.head = torch.nn.Linear(8, 10)

        def forward(self, x):
            return self.head(torch.relu(self.conv(x)).mean((2, 3)))

    torch.manual_seed(0)
    program = torch.export.export(Net().eval(), (torch.zeros(1, 3, 16, 16),))
    torch.export.save(program, folder / "net.pt2")
    config = parse({"model": {"source": str(folder / "net.pt2"), "trust": True}, "profile": "local"})
    return Project(config, folder, Store(folder / "home"), "net")


@pytest.fixture(scope="module")
def exported(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "profile"
    export_profiler(project, out)
    return out


@pytest.fixture
def recorder(tmp_path: Path, shared_dir: Path) -> tuple[Path, dict[str, str]]:
    folder = tmp_path / "recorder"
    return folder, torch_npu_recorder.install(folder, shared_dir / "captures" / "cann")


def run(folder: Path, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "profile_npu.py"), *words]
    environment = {**os.environ, **(env or {})}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_folder_holds_scripts_settings_and_the_model(exported: Path) -> None:
    assert sorted(path.name for path in exported.iterdir()) == [
        "README.md", "model.pt2", "model.ts", "profile_npu.py", "profile_om.py", "profile_om.sh", "settings.json",
    ]  # fmt: skip
    assert json.loads((exported / "settings.json").read_text()) == {
        "model": "net",
        "inputs": [{"name": "x", "dtype": "float32", "shape": [1, 3, 16, 16]}],
        "models": ["model.pt2", "model.ts"],
    }


def test_the_scripts_are_the_golden_ones_and_compile(exported: Path, root: Path, tmp_path: Path) -> None:
    golden = root / "src" / "edgewright" / "codegen" / "profiler"
    for name in ("profile_npu.py", "profile_om.py", "profile_om.sh", "README.md"):
        assert (exported / name).read_bytes() == (golden / name).read_bytes()
    for name in ("profile_npu.py", "profile_om.py"):
        py_compile.compile(str(exported / name), cfile=str(tmp_path / f"{name}c"), doraise=True)
    subprocess.run(["sh", "-n", str(exported / "profile_om.sh")], check=True, timeout=20)


def test_without_torch_npu_the_script_says_what_is_missing(exported: Path) -> None:
    done = run(exported)
    assert done.returncode == 4
    assert "torch_npu cannot be imported" in done.stderr and "set_env.sh" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_an_npu_the_script_says_where_to_look(exported: Path, recorder: tuple[Path, dict[str, str]]) -> None:
    done = run(exported, env={**recorder[1], "RECORDER_NO_NPU": "1"})
    assert done.returncode == 3 and "npu-smi info" in done.stderr


def test_the_script_times_compares_and_profiles_in_order(
    exported: Path, recorder: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    folder, env = recorder
    out = tmp_path / "results.json"
    words = ["--warmup", "2", "--iterations", "5", "--steps", "3", "--out", str(out), "--prof", str(tmp_path / "prof")]
    done = run(exported, *words, env=env)
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())
    assert results["device"] == "RECORDER" and results["agrees"] is True
    assert results["outputs"] == [{"output": 0, "shape": [1, 10], "cosine": pytest.approx(1), "max_abs": 0.0}]
    assert results["latency_ms"]["count"] == 5 and results["profile"].endswith("_ascend_pt")

    calls = torch_npu_recorder.calls(folder)
    names = [name for name, _, _ in calls]
    profiling = calls[names.index("_ExperimentalConfig") :]
    assert profiling[0][2] == {
        "profiler_level": "Level1", "aic_metrics": "PipeUtilization", "export_type": "['Text']",
        "data_simplification": "False",
    }  # fmt: skip
    assert profiling[1][2] == {"wait": "0", "warmup": "1", "active": "3", "repeat": "1", "skip_first": "1"}
    assert [name for name, _, _ in profiling[2:]] == ["profile", "enter", *["synchronize", "step"] * 5, "exit"]
    assert profiling[2][2]["activities"] == "['CPU', 'NPU']" and profiling[2][2]["record_shapes"] == "True"
    before = names[: names.index("_ExperimentalConfig")]
    assert before[0] == "set_device" and before.index("module.to") < before.index("synchronize")
    assert before.index("move_to_device_pass") < before.index("module.to")
    assert before.count("synchronize") == 1 + 2 * 5 + 2 * 2 * 5, "once after the first call, then before and after each"


def test_outputs_that_differ_are_exit_status_1(
    exported: Path, recorder: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    folder, env = recorder
    path = folder / "torch_npu" / "__init__.py"
    path.write_text(path.read_text().replace("return self.clone()", "return torch.randn_like(self)"))
    out = tmp_path / "results.json"
    done = run(exported, "--no-profile", "--iterations", "1", "--warmup", "1", "--out", str(out), env=env)
    assert done.returncode == 1 and "DIFFER" in done.stdout
    assert json.loads(out.read_text())["agrees"] is False


def test_an_older_pytorch_falls_back_to_torchscript(
    exported: Path, recorder: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    folder = tmp_path / "older"
    shutil.copytree(exported, folder)
    (folder / "model.pt2").write_bytes(b"of a newer version")
    done = run(folder, "--no-profile", "--iterations", "1", "--warmup", "1", env=recorder[1])
    assert done.returncode == 0, done.stderr


def test_a_profile_on_another_machine_is_brought_back_and_imported(
    project: Project, recorder: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in recorder[1].items():
        monkeypatch.setenv(name, value)
    there = profile_there(project, Silent())
    assert there.device == "local" and there.results["agrees"] is True
    (view,) = there.imported.profiles
    assert view.profile.tool == "torch_npu" and view.profile.iterations == 10
    assert {finding.rule for finding in view.findings} >= {"gaps", "memory_bound"}


def test_a_machine_without_torch_npu_is_a_missing_tool(project: Project, tmp_path: Path) -> None:
    from edgewright import transports

    async def go() -> None:
        link = await transports.get("local").open("local", root=str(tmp_path / "device"))
        try:
            await remote_profile(link, project, tmp_path / "out")
        finally:
            await link.close()

    with pytest.raises(ToolError, match="torch_npu cannot be imported"):
        asyncio.run(go())


def test_a_model_that_is_only_onnx_gets_the_scripts_for_an_om(tmp_path: Path) -> None:
    import onnx
    from onnx import helper

    ports = [helper.make_tensor_value_info(name, 1, ["n", 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ports[:1], ports[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tmp_path / "m.onnx")
    config = parse({"model": str(tmp_path / "m.onnx")})
    project = Project(config, tmp_path, Store(tmp_path / "home"), "m")
    result = export_profiler(project, tmp_path / "out")
    assert "model.pt2" not in result.files and any("no PyTorch program" in note for note in result.notes)
    assert json.loads((tmp_path / "out" / "settings.json").read_text())["inputs"][0]["shape"] == [1, 4]
    with pytest.raises(ConfigError, match="No machine is named"):
        profile_there(project, Silent())


def test_open_shapes_are_refused_by_name(tmp_path: Path) -> None:
    import onnx
    from onnx import helper

    ports = [helper.make_tensor_value_info(name, 1, ["n", "length"]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ports[:1], ports[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tmp_path / "m.onnx")
    project = Project(parse({"model": str(tmp_path / "m.onnx")}), tmp_path, Store(tmp_path / "home"), "m")
    with pytest.raises(InputError, match="'x' has no fixed shape"):
        export_profiler(project, tmp_path / "out")


def om_of(folder: Path, toolkit: Toolkit) -> Path:
    """A small network as an .om of the stand-in."""
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    weight = numpy_helper.from_array(np.ones((8, 3, 3, 3), np.float32), "w")
    ports = [helper.make_tensor_value_info(n, 1, [1, c, 32, 32]) for n, c in (("x", 3), ("y", 8))]
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1] * 4)
    graph = helper.make_graph([node], "g", ports[:1], ports[1:], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7), folder / "m.onnx")
    atc = ["atc", "--model=m.onnx", "--framework=5", "--output=m", "--soc_version=Ascend310B4"]
    done = toolkit.run(*atc, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "m.om"


def test_an_om_is_profiled_by_msprof_and_imported(exported: Path, toolkit: Toolkit, tmp_path: Path) -> None:
    model = om_of(tmp_path, toolkit)
    script, words = exported / "profile_om.sh", {"PYTHON": sys.executable, "LOOPS": "4"}
    done = toolkit.run("sh", script, model, tmp_path / "prof", cwd=tmp_path, **words)
    assert done.returncode == 0, done.stdout + done.stderr
    (view,) = import_profile(tmp_path / "prof").profiles
    assert view.profile.simulated and view.profile.iterations == 4
    assert any(operator.type == "Conv2D" for operator in view.profile.operators)
    assert view.profile.phases["transfer"] > 0, "the copies that the host waited for"


def test_a_board_collects_and_a_host_parses(exported: Path, toolkit: Toolkit, tmp_path: Path) -> None:
    """As on a DK A2: msprof does not parse where it collected."""
    model = om_of(tmp_path, toolkit)
    script, prof = exported / "profile_om.sh", tmp_path / "prof"
    collect = ["msprof", f"--output={prof}", sys.executable, exported / "profile_om.py", model, "--loops", "2"]
    prof.mkdir(mode=0o700)
    done = toolkit.run(*collect, cwd=tmp_path, CANNSIM_MSPROF_PARSE="off")
    assert done.returncode == 0, done.stdout + done.stderr
    with pytest.raises(InputError, match="raw data"):
        import_profile(prof)
    done = toolkit.run("sh", script, "--parse", prof, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert import_profile(prof).profiles[0].profile.iterations == 2


def test_the_om_s_program_says_what_is_wrong(exported: Path, toolkit: Toolkit, tmp_path: Path) -> None:
    (tmp_path / "bad.om").write_bytes(b"no model")
    done = toolkit.run(sys.executable, exported / "profile_om.py", tmp_path / "bad.om", cwd=tmp_path)
    assert done.returncode == 3 and "aclmdlLoadFromFile failed" in done.stderr
    done = toolkit.run(sys.executable, exported / "profile_om.py", "bad.om", cwd=tmp_path, LD_LIBRARY_PATH="")
    assert done.returncode == 4 and "set_env.sh" in done.stderr


def test_a_failure_of_torch_is_shown_whole_and_is_no_result(
    exported: Path, recorder: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    path = recorder[0] / "torch_npu" / "__init__.py"
    path.write_text(
        path.read_text() + "\ndef _broken():\n    raise RuntimeError('507899')\nnpu.synchronize = _broken\n"
    )
    done = run(exported, "--out", str(tmp_path / "results.json"), env=recorder[1])
    assert done.returncode == 3 and "507899" in done.stderr and "npu-smi" in done.stderr
    assert not (tmp_path / "results.json").exists()
