"""Whole runs of the Ascend family on the stand-in (simulated): what failed is repaired, and it ends in a service."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import planted
import pytest
from board import ask, health
from sshd import Sshd
from work import Work

pytestmark = pytest.mark.slow


@pytest.fixture
def ascend(work: Work, toolkit: Any) -> Work:
    """A folder whose target is the stand-in, found by the option alone: no variable of CANN is set."""
    work.env = {"CANNSIM_STATE_DIR": str(toolkit.state), "CANNSIM_THREADS": "2"}
    planted.colour_pictures(work.folder / "train", 4, seed=0)
    planted.colour_pictures(work.folder / "val", 8, seed=1)
    return work


def colours(work: Work, toolkit: Any, offset: float = 0.0, **target: Any) -> None:
    planted.colour_model(work.folder / "colours.onnx", offset)
    work.configure(
        model="colours.onnx",
        task={"kind": "classification", "labels": list(planted.COLOURS)},
        data={"calibration": "train", "validation": "val"},
        targets=[
            {
                "name": "atlas",
                "family": "cann",
                "board": "atlas-200i-dk-a2",
                "options": {"toolkit": str(toolkit.prefix)},
                **target,
            }
        ],
    )


def test_it_ends_in_a_service_that_answers_with_an_om_and_says_that_it_is_simulated(ascend, toolkit):
    colours(ascend, toolkit, precision=["int8"])
    ended = ascend.run()
    assert ended.code == 0, ended.err
    target = ended.target()
    assert target["simulated"]
    names = [row["name"] for row in target["candidates"]]
    assert names[:2] == ["int8", "fp16"], "the FP16 .om is kept beside the INT8 one, whatever was asked"
    assert ended.candidate("int8")["executed_precisions"]["int8"] > 0
    assert ended.candidate("fp16")["device_bytes"] > 0
    models = ascend.home / "runs" / "planted" / "atlas" / "models"
    assert {path.name for path in models.glob("*/main.om")} == {"main.om"}
    url = target["service"]["url"]
    assert health(url)["simulated"]
    status, answer = ask(url + "/infer", (ascend.folder / "val" / "blue" / "000.png").read_bytes(), "image/png")
    assert status == 200 and json.loads(answer)["predictions"][0]["label"] == "blue"
    release = ascend.device("atlas").describe(ascend.device("atlas").linked(ascend.device("atlas").current))
    assert "ASCEND_HOME_PATH" in release["serve"]["environment"], "a restart needs no login shell"


def test_int8_and_fp16_that_lose_too_much_give_way_to_the_models_own_types(ascend, toolkit):
    """An offset of a hundred thousand is too much for eight bits, and past the end of fp16 (65504)."""
    colours(ascend, toolkit, offset=1e5)
    ended = ascend.run("--no-deploy")
    assert ended.code == 0, ended.err
    target = ended.target()
    assert [row["name"] for row in target["candidates"]][:5] == ["int8", "mixed", "fp16", "fp16-mixed", "origin"]
    for name in ("int8", "fp16"):
        assert ended.candidate(name)["verdict"] == "fail"
        assert ended.candidate(name)["drop_points"] > 10
    assert target["chosen"].startswith("origin")
    assert any("int8 fails: top1 drops" in sentence for sentence in target["sentences"])


def test_without_a_toolkit_the_option_that_names_one_is_told(ascend, toolkit):
    colours(ascend, toolkit, options={"toolkit": "nowhere"})
    ended = ascend.run("--no-deploy")
    assert ended.code != 0
    assert "toolkit:" in ended.err


def test_a_conversion_made_elsewhere_is_taken_back_and_run_goes_on_from_it(ascend, toolkit):
    colours(ascend, toolkit, precision=["fp16"])
    out = ascend.folder / "handover"
    written = ascend.do("export-code", "convert", str(ascend.what), "-o", str(out), "--json")
    assert written.code == 0, written.err
    assert (out / "atlas" / "fp16" / "main" / "aipp.cfg").is_file()
    elsewhere = Path(shutil.move(out, ascend.folder / "on the other machine"))
    done = subprocess.run(
        ["sh", str(elsewhere / "convert.sh")], capture_output=True, text=True, check=False,
        env={**toolkit.environment(), "ASCEND_SET_ENV": str(toolkit.prefix / "set_env.sh")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    again = subprocess.run(["sh", str(elsewhere / "convert.sh")], capture_output=True, text=True, check=False,
                           env=toolkit.environment())  # fmt: skip
    assert "==" not in again.stdout, "what is done is not done again"
    taken = ascend.ask("build", "--import", str(elsewhere))
    assert taken.code == 0, taken.err
    artifacts = taken.json()["artifacts"]["imported"]
    assert {one["recipe"]["name"] for one in artifacts} >= {"fp16"}
    assert all(one["service"]["simulated"] for one in artifacts)
    ascend.started()
    ended = ascend.run("--no-deploy")
    assert ended.code == 0, ended.err
    assert not [line for line in ascend.started() if "precision_mode_v2=fp16 --log" in line and "images:1,3" in line]


def test_a_conversion_of_another_model_is_refused(ascend, toolkit):
    colours(ascend, toolkit, precision=["fp16"])
    out = ascend.folder / "handover"
    assert ascend.do("export-code", "convert", str(ascend.what), "-o", str(out)).code == 0
    colours(ascend, toolkit, offset=3.0, precision=["fp16"])
    refused = ascend.ask("build", "--import", str(out))
    assert refused.code == 2
    assert "another model" in refused.err


def test_a_machine_with_the_toolkit_converts_for_a_board_that_lies_elsewhere(ascend, toolkit, tmp_path):
    """The conversion host over a real sshd: what the tools need goes there, the .om comes back, nothing is left."""
    there = Sshd(tmp_path / "converter")
    try:
        options = {"toolkit": str(toolkit.prefix), "host": there.reach()}
        colours(ascend, toolkit, precision=["int8"], options=options)
        ended = ascend.ask("build")
        assert ended.code == 0, ended.err
        built = {one["recipe"]["name"]: one for one in ended.json()["artifacts"]["atlas"]}
        assert built["int8"]["quantised"]["int8"] == built["int8"]["quantised"]["weighted"] == 2
        assert (Path(built["fp16"]["folder"]) / "model" / "main.om").is_file()
        assert not list(there.home.rglob("convert-*"))
    finally:
        there.stop()
