"""From the shell: back to the release before, its golden samples again, and a device that somebody is at work on."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path

import pytest
from tests.cli.conftest import Edgewright

from edgewright.device.lease import boot_id

CONFIG = "model: tiny.onnx\ntargets: [{precision: [fp32]}]\nwatch: {for_s: 0}\nserve: {bake_s: %d}\n"


@pytest.mark.slow
@pytest.mark.usefixtures("known_machine")
def test_a_release_is_rolled_back_replayed_and_held_by_one_operator(
    edgewright: Edgewright, tiny_onnx: Path, tmp_path: Path
) -> None:
    what = tmp_path / "e.yaml"
    what.write_text(CONFIG % 0)
    try:
        first = edgewright("run", "e.yaml", "--json")
        assert first.code == 0, first.err
        url = first.json()["targets"][0]["service"]["url"]
        what.write_text(CONFIG % 1)
        (plan,) = edgewright("deploy", "e.yaml", "--dry-run", "--json").json()["plans"]
        steps = [act["step"] for act in plan["acts"]]
        assert steps[0] == "received" and "baked" in steps and steps[-1] == "committed"

        root = Path(first.json()["targets"][0]["service"]["root"])
        now = time.monotonic()
        held = {"owner": "anna@desk", "token": "a", "host": "desk", "boot": boot_id(), "taken": now, "until": now + 600}
        (root / "lease.json").write_text(json.dumps(held))
        refused = edgewright("deploy", "e.yaml", "--json")
        assert refused.code == 3 and "anna@desk is at work" in refused.json()["error"]["message"]
        assert "--take-over" in refused.json()["error"]["remedy"]
        second = edgewright("deploy", "e.yaml", "--take-over", "--json")
        assert second.code == 0, second.err
        assert second.json()["releases"][0]["number"] == 2 and not (root / "lease.json").exists()

        assert _number(url) == 2
        back = edgewright("rollback", "e.yaml")
        assert back.code == 0 and "release 1" in back.out, back.err
        assert _number(url) == 1
        (golden,) = edgewright("exec-golden", "e.yaml", "--json").json()["devices"]
        assert golden["number"] == 1 and golden["mismatches"] == [] and golden["samples"] > 0
        (device,) = edgewright("status", "e.yaml", "--json").json()["devices"]
        assert device["previous"]["number"] == 2 and device["manager"] == "supervisor"
        assert device["programs"]["supervisor"] == device["programs"]["installer"] != ""
    finally:
        edgewright("stop")


def _number(url: str) -> int:
    with urllib.request.urlopen(url + "/healthz", timeout=20) as answer:
        return int(json.loads(answer.read())["number"])
