"""The whole story on a device behind a real SSH server: nothing is shared with it but the connection."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import planted
import pytest
from sshd import Sshd
from work import Work

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    found = Sshd(tmp_path_factory.mktemp("device"))
    yield found
    found.stop()


def _target(device: Sshd, scheme: str = "ssh", **more: Any) -> dict[str, Any]:
    options = {"threads": 1, "spinning": False}
    return {"name": "board", "family": "onnxruntime", "device": device.reach(scheme), "options": options, **more}


@pytest.fixture(scope="module")
def told(device: Sshd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Work, dict[str, Any]]]:
    """A classifier of colours, run to its end on the device; with `serve.source`, so that there are readings."""
    work = Work(tmp_path_factory.mktemp("work"))
    planted.colour_model(work.folder / "colours.onnx")
    planted.colour_pictures(work.folder / "train", 8, seed=0)
    planted.colour_pictures(work.folder / "val", 12, seed=1)
    planted.colour_pictures(device.home / "pictures", 2, seed=2)
    work.configure(
        model="colours.onnx",
        task={"kind": "classification", "labels": list(planted.COLOURS)},
        data={"calibration": "train", "validation": "val"},
        targets=[_target(device)],
        serve={"source": f"loop:{device.home / 'pictures' / 'red'}"},
        watch={"interval_s": 1},
    )
    ended = work.run()
    assert ended.code == 0, ended.err
    yield work, ended.target()
    work.ask("stop")


def test_the_run_ends_in_a_service_on_the_device(told: tuple[Work, dict[str, Any]], device: Sshd) -> None:
    work, target = told
    assert target["service"]["root"] == str(device.home / ".edgewright")
    assert (device.home / ".edgewright" / "current" / "service.json").is_file()
    assert not (work.home / "devices").exists()
    picture = (work.folder / "val" / "green" / "000.png").read_bytes()
    request = urllib.request.Request(
        target["service"]["url"] + "/infer", data=picture, headers={"Content-Type": "image/png"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert "green" in answer.read().decode()


def test_status_and_logs_come_from_the_device(told: tuple[Work, dict[str, Any]], device: Sshd) -> None:
    work, target = told
    (status,) = work.ask("status").json()["devices"]
    assert status["device"] == device.address
    assert status["running"] and status["health"]["ready"]
    assert status["current"]["digest"] == target["service"]["digest"]
    (log,) = work.ask("logs").json()["logs"]
    assert log["lines"]


def test_readings_reach_the_store(told: tuple[Work, dict[str, Any]]) -> None:
    work, _ = told
    ended = work.ask("watch", "--for", "4")
    (watched,) = ended.json()["targets"]
    assert sum(reading["count"] for reading in watched["readings"]) > 0


def test_deploying_again_changes_nothing(told: tuple[Work, dict[str, Any]]) -> None:
    work, target = told
    (release,) = work.ask("deploy").json()["releases"]
    assert release["unchanged"] and release["sent_bytes"] == 0
    assert release["digest"] == target["service"]["digest"]


def test_stop_ends_the_service_on_the_device(told: tuple[Work, dict[str, Any]]) -> None:
    work, _ = told
    (stopped,) = work.ask("stop").json()["stopped"]
    assert stopped["target"] == "board"
    (status,) = work.ask("status").json()["devices"]
    assert not status["running"]


def test_predictions_that_are_files_come_back(device: Sshd, tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    planted.small_products(work.folder / "products.onnx", layers=4)
    planted.tensors(work.folder / "samples", (1, 4, 16), 8)
    work.configure(
        model="products.onnx",
        task={"kind": "tensors"},
        data={"calibration": "samples", "validation": "samples"},
        targets=[_target(device, root=str(device.home / "second"), precision=["fp32"])],
    )
    ended = work.run("--no-deploy")
    assert ended.code == 0, ended.err
    lines = [json.loads(line) for path in work.home.glob("cache/predictions/*/predictions.jsonl")
             for line in path.read_text().splitlines()]  # fmt: skip
    assert lines and all("file" in line["prediction"] for line in lines)
    for folder in work.home.glob("cache/predictions/*"):
        assert len(list(folder.glob("*.npz"))) == 8
