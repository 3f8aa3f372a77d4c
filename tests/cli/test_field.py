"""From the shell: a service goes live, answers, is watched, is left alone when nothing changed, and ends."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Edgewright


@pytest.mark.slow
@pytest.mark.usefixtures("known_machine")
def test_the_verbs_of_the_field_in_a_row(edgewright: Edgewright, tiny_onnx: Path, tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text("model: tiny.onnx\ntargets: [{precision: [fp32]}]\nwatch: {for_s: 1}\n")
    dry = edgewright("run", "e.yaml", "--dry-run", "--json")
    assert dry.code == 0, dry.err
    assert dry.json()["plans"][0]["steps"]
    assert not any(device["running"] for device in edgewright("status", "--json").json()["devices"])

    try:
        first = edgewright("run", "e.yaml", "--json")
        assert first.code == 0, first.err
        url = first.json()["targets"][0]["service"]["url"]
        assert _infer(url, np.zeros((1, 3, 16, 16), np.float32))

        (device,) = edgewright("status", "e.yaml", "--json").json()["devices"]
        assert device["running"] and device["url"] == url and device["health"]["ready"]
        assert "serving" in edgewright("status").out
        assert edgewright("logs", "-n", "5").code == 0

        again = edgewright("deploy", "e.yaml", "--json")
        assert again.code == 0, again.err
        (release,) = again.json()["releases"]
        assert release["unchanged"] and release["url"] == url
        assert "serves already" in edgewright("deploy", "e.yaml", "--dry-run").out

        watched = edgewright("watch", "e.yaml", "--for", "3", "--json")
        assert watched.code == 0, watched.err
        assert watched.json()["targets"][0]["incidents"] == []
        learned = edgewright("learn", "e.yaml", "--json")
        assert learned.code == 0, learned.err
        assert learned.json()["lessons"][0]["outcome"] == "nothing to learn"

        bundle = edgewright("pack", "e.yaml", "--json").json()["bundles"]["local"]
        assert (Path(bundle["path"]) / "oci-layout").is_file()
    finally:
        stopped = edgewright("stop", "--json")
    assert stopped.code == 0, stopped.err
    assert len(stopped.json()["stopped"]) == 1
    assert edgewright("stop").out == "Nothing is running.\n"
    assert not edgewright("status", "--json").json()["devices"][0]["running"]


def test_logs_where_nothing_ever_ran_say_so(edgewright: Edgewright) -> None:
    said = edgewright("logs", "--json")
    assert said.code == 2
    assert "edgewright run" in said.json()["error"]["remedy"]


def test_a_report_of_a_run_that_is_not_there_says_so(edgewright: Edgewright) -> None:
    said = edgewright("report", "nothing", "--json")
    assert said.code == 2 and "nothing" in said.json()["error"]["message"]


def _infer(url: str, array: np.ndarray) -> dict:
    import io

    body = io.BytesIO()
    np.savez(body, images=array)
    request = urllib.request.Request(f"{url}/infer", body.getvalue(), {"Content-Type": "application/x-npz"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)
