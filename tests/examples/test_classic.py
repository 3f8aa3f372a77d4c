"""examples/classic/config-ssh.json, whole: one command from the eight keys to an answering service and its readings,
over SSH to a device with the stand-in for an Ascend chip (simulated).

The model is the digits' checkpoint as ONNX for 256×256: the eight keys have none for the size, a checkpoint would be
computed at 640×640, and all of it would take two and a half minutes of processor time. Measurements are shorter than
a user's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import pytest
from board import ask, health
from sshd import Sshd
from stand_in import Toolkit
from work import SHORT

from edgewright import sources
from edgewright.core.model import ModelSpec
from edgewright.device import install
from edgewright.device.release import Layout

pytestmark = pytest.mark.slow
PICTURES, SIZE = 16, 256


@pytest.fixture
def device(tmp_path: Path, toolkit: Toolkit) -> Iterator[Sshd]:
    """What `make fleet-up` makes of dev-08: a home of its own, the stand-in where CANN lies for a user without root."""
    folder = tmp_path / "dev-08"
    (folder / "home").mkdir(parents=True)
    (folder / "home" / "Ascend").symlink_to(toolkit.prefix)
    (folder / "chip").mkdir(mode=0o700)
    variables = {"CANNSIM_STATE_DIR": str(folder / "chip"), "CANNSIM_THREADS": "1"}
    found = Sshd(folder, variables={"XDG_RUNTIME_DIR": str(folder / "run"), **variables})
    found.trust(found.port)
    yield found
    install.stop(Layout(str(found.home / ".edgewright")), {})
    found.stop()


def _config(root: Path, folder: Path, device: Sshd, scenes: ModuleType) -> Path:
    """The example with another model, other pictures and another device; its keys are all there."""
    yolov5 = sources.get("yolov5")
    spec = ModelSpec(str(root / "examples/digits/digits.pt"), inputs={"images": (1, 3, SIZE, SIZE)})
    model = yolov5.to_onnx(yolov5.load(spec), 17, folder / "model")["main"]
    (folder / "pictures").mkdir()
    for seed in range(PICTURES):
        image = scenes.draw_scene(seed, "train").image
        assert cv2.imwrite(str(folder / "pictures" / f"{seed:02d}.png"), image[:, :, ::-1])
    (folder / "ssh_config").write_text(
        f"Host dev-08\n  HostName 127.0.0.1\n  Port {device.port}\n  User {device.user}\n  IdentitiesOnly yes\n"
        f"  IdentityFile {device.identity}\n  UserKnownHostsFile {device.known_hosts}\n"
    )
    keys = json.loads((root / "examples/classic/config-ssh.json").read_text())
    assert keys["edge_device_ip"].startswith("dev-08?config=") and keys["enable_int8"]
    keys |= {"model_name": str(model.path), "calib_data": "pictures"}
    keys["edge_device_ip"] = "dev-08?config=ssh_config"
    path = folder / "config-ssh.json"
    path.write_text(json.dumps(keys))
    return path


def test_the_eight_keys_end_in_an_answering_service(
    root: Path, tmp_path: Path, toolkit: Toolkit, device: Sshd, scenes: ModuleType
) -> None:
    config = _config(root, tmp_path, device, scenes)
    environment = {**os.environ, "EDGEWRIGHT_HOME": str(tmp_path / "home"), "ASCEND_HOME_PATH": str(toolkit.prefix)}
    argv = [sys.executable, "-c", SHORT, "run", str(config), "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=840)
    assert done.returncode == 0, done.stderr[-3000:]
    (target,) = json.loads(done.stdout)["targets"]
    assert (target["family"], target["simulated"]) == ("cann", True)
    assert target["verdict"] in ("pass", "undecided"), "so few pictures may leave it open"
    tried: dict[str, Any] = {candidate["name"]: candidate for candidate in target["candidates"]}
    assert tried["int8"]["executed_precisions"]["int8"] > 0.3 and tried["fp16"]["executed_precisions"] == {"fp16": 1.0}
    assert tried[target["chosen"]]["verdict"] in ("pass", "undecided")

    service = target["service"]
    assert service["root"] == str(device.home / ".edgewright") and service["replay"]["samples"] > 0
    assert service["readings"] > 0 and service["incidents"] == []
    assert health(service["url"])["release"] == service["digest"]
    assert list((device.home / ".edgewright" / "current" / "model").glob("*.om"))
    status, body = ask(service["url"] + "/infer", (tmp_path / "pictures" / "00.png").read_bytes(), "image/png")
    assert status == 200 and json.loads(body)["predictions"], body
