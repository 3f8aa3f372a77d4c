"""The engine's life: what cannot be opened, what fails on the way, several engines and threads, profiles, services."""

# ruff: noqa: F811 (fixtures are imported by name)

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import tiny
from om import app, models, on_board, variables  # noqa: F401

from edgewright.core.profile import MemoryPoint, Operator, Span

pytestmark = pytest.mark.slow  # every test starts a process; without EDGEWRIGHT_CANN the first builds the stand-in


@pytest.mark.parametrize(
    ("model", "extra", "message", "remedy"),
    [
        ("cut.om", {}, "145006", "atc --mode=6"),
        ("changed.om", {}, "failed with code 14500", "atc --mode=6"),
        ("p3.om", {}, "Ascend310P3, this device is Ascend310B4", "own chip"),
        ("absent.om", {}, "absent.om", ""),
        ("small.om", {"CANNSIM_FAULT": "no-permission"}, "aclInit failed with code 507899", "HwHiAiUser"),
        ("small.om", {"CANNSIM_FAULT": "busy"}, "507033", "Another program"),
        ("small.om", {"CANNSIM_FAULT": "oom"}, "not enough memory", "Free memory"),
    ],
)
def test_what_cannot_be_opened_says_why_and_leaves_nothing_behind(on_board, model, extra, message, remedy):
    program = f"say(why=fails(lambda: engine.open({model!r}, {{}})), again=fails(lambda: engine.open({model!r}, {{}})))"
    (said,) = on_board(program, **extra)
    assert message in said["why"][0] and remedy in said["why"][1], said["why"]
    assert "PID" not in said["why"][0] and "TraceBack" not in said["why"][0]
    assert said["again"] == said["why"]


def test_a_missing_or_stub_library_is_told_with_the_variables_to_set(on_board, toolkit):
    program = 'say(why=fails(lambda: engine.open("small.om", {})))'
    (said,) = on_board(program, drop=("LD_LIBRARY_PATH", "ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME"))
    assert "libascendcl.so" in said["why"][0]
    assert "LD_LIBRARY_PATH" in said["why"][1] and "ASCEND_HOME_PATH" in said["why"][1]
    stub = str(toolkit.prefix / "ascend-toolkit/latest/lib64/stub")
    (said,) = on_board(program, LD_LIBRARY_PATH=stub)
    assert "100039" in said["why"][0] and "stub" in said["why"][1]


def test_the_toolkits_home_is_enough_to_find_the_library(on_board):
    program = 'e = engine.open("small.om", {}); say(cann=e.runtime["cann"]); e.close()'
    assert on_board(program, drop=("LD_LIBRARY_PATH",)) == [{"cann": "8.1.RC1"}]


@pytest.mark.parametrize(("model", "mode"), [("batch.om", "device"), ("pair.om", "host")])
def test_a_failure_at_any_call_of_opening_leaves_nothing_behind(on_board, model, mode):
    program = f"""
from edgewright.device import acl
call, value, left = acl.Library.call, acl.Library.value, [0]
def counted(library, name):
    left[0] -= 1
    if left[0] == 0:
        raise acl.AclError("planted", "")
def failing_call(library, name, *arguments):
    counted(library, name)
    return call(library, name, *arguments)
def failing_value(library, name, *arguments):
    if "Create" in name:
        left[0] -= 1
        if left[0] == 0:
            return None
    return value(library, name, *arguments)
acl.Library.call, acl.Library.value = failing_call, failing_value
tried = 0
while True:
    tried += 1
    left[0] = tried
    try:
        engine.open({model!r}, {{}}).close()
        break
    except ServiceError:
        pass
say(tried=tried)
"""
    (said,) = on_board(program, CANNSIM_RUN_MODE=mode)
    assert said["tried"] > 20


def test_memory_that_runs_out_in_the_middle_spoils_no_other_engine(on_board):
    program = """
x = np.ones((1, 3, 16, 16), np.float32)
a = engine.open("small.om", {})
before = a.run({"x": x})["y"].copy()
os.environ["CANNSIM_FAULT"] = "oom"
why = fails(lambda: engine.open("small.om", {}))
del os.environ["CANNSIM_FAULT"]
say(why=why, same=bool((a.run({"x": x})["y"] == before).all()))
a.close()
"""
    (said,) = on_board(program)
    assert "memory" in said["why"][0] and said["same"]


def test_engines_of_one_process_share_its_initialisation_and_close_in_any_order(on_board):
    program = """
x, pair = np.ones((1, 3, 16, 16), np.float32), {k: np.ones((1, 3), np.float32) for k in "ab"}
a, b = engine.open("small.om", {}), engine.open("pair.om", {})
a.close()
first = float(b.run(pair)["difference"].max())
c = engine.open("small.om", {})
b.close()
second = c.run({"x": x})["y"].shape
c.close()
d = engine.open("pair.om", {})
say(first=first, second=second, third=float(d.run(pair)["total:0"].max()))
d.close()
"""
    (said,) = on_board(program)
    assert said == {"first": 0.0, "second": [1, 4, 16, 16], "third": 2.0}


def test_a_library_named_in_two_ways_is_initialised_once(on_board, toolkit):
    folder = str(toolkit.prefix / "ascend-toolkit/latest/lib64")
    program = f"""
pair = {{k: np.ones((1, 3), np.float32) for k in "ab"}}
a, b = engine.open("pair.om", {{}}), engine.open("pair.om", {{"library": {folder!r}}})
a.close()
say(total=float(b.run(pair)["total:0"].max()))
b.close()
c = engine.open("pair.om", {{"library": {folder!r} + "/libascendcl.so"}})
c.close()
"""
    assert on_board(program) == [{"total": 2.0}]


@pytest.mark.parametrize("mode", ["device", "host"])
def test_threads_other_than_the_one_that_opened_may_run_and_close(on_board, mode):
    program = """
x = np.ones((1, 3, 16, 16), np.float32)
a, b = engine.open("small.om", {}), engine.open("half.om", {})
want = [float(e.run({"x": x})["y"].sum()) for e in (a, b)]
found = []
def work():
    for _ in range(20):
        for e, sum in zip((a, b), want):
            found.append(float(e.run({"x": x})["y"].shape[1]))
threads = [threading.Thread(target=work) for _ in range(3)]
[t.start() for t in threads]; [t.join() for t in threads]
last = threading.Thread(target=lambda: (a.close(), b.close()))
last.start(); last.join()
say(found=len(found), right=set(found) == {4.0})
"""
    (said,) = on_board(program, CANNSIM_RUN_MODE=mode)
    assert said == {"found": 120, "right": True}


def test_an_engine_that_nobody_closed_is_closed_when_the_program_ends(on_board):
    assert on_board('e = engine.open("small.om", {}); say(open=True)') == [{"open": True}]


def test_executed_tells_int8_from_fp16_by_the_devices_own_profiler(on_board):
    program = """
for name in ("int8.om", "small.om", "image.om"):
    e = engine.open(name, {})
    say(**e.executed())
    e.run({"x": np.zeros([n or 16 for n in e.inputs[0]["shape"]], e.inputs[0]["dtype"])})
    e.close()
"""
    int8, fp16, gears = on_board(program)
    assert int8 == {"precisions": {"int8": 1.0}, "ops": {"int8": 2}, "notes": []}
    assert fp16["precisions"] == {"fp16": 1.0} and fp16["ops"] == {"fp16": 3}
    assert gears["precisions"] == {"fp16": 1.0}


def test_where_no_table_can_be_made_nothing_is_guessed(on_board, toolkit):
    program = 'e = engine.open("int8.om", {}); say(**e.executed()); e.close()'
    (said,) = on_board(program, drop=("PATH", "ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME"))
    assert said["precisions"] == said["ops"] == {}
    assert "msprof" in said["notes"][0]


def test_a_profiler_that_only_collects_is_told_in_its_own_words(on_board, tmp_path):
    script = tmp_path / "msprof"
    script.write_text("#!/bin/sh\necho the data cannot be parsed on this board\nexit 1\n")
    script.chmod(0o755)
    program = 'e = engine.open("int8.om", {}); say(**e.executed()); e.close()'
    (said,) = on_board(program, before=("/usr/bin/env", f"PATH={tmp_path}:/usr/bin:/bin"))
    assert said["precisions"] == {} and "cannot be parsed on this board" in said["notes"][0]
    assert "--export=on" in said["notes"][0]


def test_inside_msprof_itself_the_engine_runs_and_says_that_the_profiler_is_taken(on_board, toolkit, tmp_path):
    program = 'e = engine.open("int8.om", {}); say(**e.executed()); e.close()'
    (said,) = on_board(program, before=("msprof", f"--output={tmp_path}"))
    assert said["precisions"] == {} and "148047" in said["notes"][0]
    assert list(tmp_path.glob("PROF_*/mindstudio_profiler_output/op_summary_*.csv"))


@pytest.mark.parametrize("mode", ["device", "host"])
def test_a_profile_has_the_operators_of_one_run_between_its_copies(on_board, mode):
    program = """
e = engine.open("int8.om", {})
say(**e.profile({"x": np.ones((1, 3, 16, 16), np.float32)}, 3))
say(left=os.listdir(os.environ["TMPDIR"]))
e.close()
"""
    profile, rest = on_board(program, CANNSIM_RUN_MODE=mode)
    by_name = {operator["name"]: operator for operator in profile["operators"]}
    assert {"conv1", "conv2"} <= set(by_name)
    assert by_name["conv1"]["dtype"] == "int8" and by_name["conv1"]["calls"] == 1
    assert by_name["conv1"]["inputs"][0] == [1, 3, 16, 16] and by_name["conv1"]["outputs"] == [[1, 8, 16, 16]]
    assert all(Operator.from_json(operator).duration_us > 0 for operator in profile["operators"])
    spans = [Span.from_json(span) for span in profile["timeline"]]
    assert (spans[0].name, spans[-1].name) == ("host_to_device", "device_to_host")
    computed = {span.name for span in spans if span.track == "compute"}
    # Tasks this small may take no time that the profiler sees, and then the runs cannot be told apart: it says so.
    assert {"conv1", "conv2"} <= computed or any("cannot be told" in note for note in profile["notes"])
    ends = [span.start_us + span.duration_us for span in spans]
    assert all(end <= span.start_us + 0.5 for end, span in zip(ends, spans[1:], strict=False))
    assert [MemoryPoint.from_json(point).owner for point in profile["memory"]] == ["weights", "workspace", "buffers"]
    assert profile["tool"] == "msprof" and set(profile["phases"]) == {"host_to_device", "device_to_host"}
    assert rest == {"left": []}


@pytest.fixture
def service(models, app, tmp_path) -> Path:
    """A service folder whose engine is the real one: a "detector" of one box whose score follows the picture."""
    folder = tiny.service(tmp_path / "service")
    shutil.copyfile(app / "engine.py", folder / "app/engine.py")
    shutil.copyfile(models / "rows.om", folder / "model/main.om")
    spec = json.loads((folder / "service.json").read_text())
    main = spec["engines"]["main"]
    main.update(path="model/main.om", settings={"device": 0, "inputs": ["x"], "outputs": ["y"]})
    main["inputs"][0]["shape"] = [1, 3, 24, 32]
    (folder / "service.json").write_text(json.dumps(spec))
    return folder


def test_the_worker_serves_the_om(service, toolkit, tmp_path):
    picture = str(tiny.picture(tmp_path / "picture.png"))
    commands = [
        {"do": "time", "samples": [picture], "seconds": 0, "at_least": 3}, {"do": "executed"}, {"do": "memory"},
        {"do": "profile", "samples": [picture], "iterations": 3},
        {"do": "predict", "samples": [{"id": "p", "path": picture}], "out": str(tmp_path / "out.jsonl")},
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "edgewright.device.worker", str(service)], text=True, capture_output=True, timeout=120,
        input="".join(json.dumps(command) + "\n" for command in [*commands, {"do": "stop"}]), check=False,
        env={**variables(toolkit), "PYTHONPATH": str(service / "app")},
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == "", done.stderr
    ready, timed, executed, memory, profile, predicted, _ = map(json.loads, done.stdout.splitlines())
    assert ready["ready"] and ready["runtime"]["cann"] == "8.1.RC1"
    assert ready["inputs"][0]["shape"] == [1, 3, 24, 32] and timed["count"] >= 3
    assert set(executed["precisions"]) == {"fp16"} and memory["peak_bytes"] > 0
    assert profile["tool"] == "msprof" and profile["operators"] and predicted == {"count": 1}
    ((label, score, *box),) = json.loads((tmp_path / "out.jsonl").read_text())["prediction"]
    assert label == 1 and 0.6 < score < 0.8 and box == [1.0, 1.0, 20.0, 16.0]


def test_the_agent_answers_with_it_and_ends_politely(service, toolkit, tmp_path):
    picture = tiny.picture(tmp_path / "picture.png")
    argv = [sys.executable, "-m", "edgewright.device.agent", str(service), "--root", str(tmp_path), "--port", "0"]
    with (tmp_path / "log").open("wb") as log:
        environment = {**variables(toolkit), "PYTHONPATH": str(service / "app")}
        agent = subprocess.Popen(argv, stderr=log, env=environment, cwd=service)
    try:
        deadline = time.monotonic() + 60
        while not (address := re.search(r"http://\S+", (tmp_path / "log").read_text())):
            assert agent.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.02)
        request = urllib.request.Request(
            address.group() + "/infer", picture.read_bytes(), {"Content-Type": "image/png"}
        )
        for _ in range(3):
            with urllib.request.urlopen(request, timeout=30) as answer:
                found = json.loads(answer.read())
            assert [(p["class"], p["box"]) for p in found["predictions"]] == [(1, [1.0, 1.0, 20.0, 16.0])]
    finally:
        agent.terminate()
        assert agent.wait(20) == 0
    assert "not released" not in (tmp_path / "log").read_text()
