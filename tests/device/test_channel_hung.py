"""An installer that hangs stops no device that polls: it is ended, and the next poll goes on."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest
from board import Bakery, Board
from channels import SOURCE, Shelf, poll, serving
from faulty import AT_STEP, assert_one_whole_release, assert_right_answers

from edgewright.pipeline.channel import publish

HANGS = """
import subprocess, sys
if sys.orig_argv[-1:] == ["install"]:
    subprocess.Popen(["sleep", "300"], stdout=open({note!r}, "w"))
{fault}
"""
HASTY = """
import json, sys
from edgewright.device import channel
channel.TIMEOUT_S = {timeout_s}
folder = channel.Folder(sys.argv[2], 30.0, 2, 0.01, None)
print(json.dumps(channel.Channel(channel.Layout(sys.argv[1]), folder, "stable").poll()))
"""


@pytest.mark.slow
@pytest.mark.parametrize("step", ["begun", "switched"])
def test_an_installer_that_hangs_is_ended_and_the_next_poll_goes_on(
    bakery: Bakery, board: Board, tmp_path: Path, step: str
) -> None:
    old, new = bakery.bundle(), bakery.bundle(score=0.45)
    (tmp_path / "place").mkdir()
    shelf, keys, hung = Shelf(tmp_path / "place"), tmp_path / "keys", tmp_path / "hung"
    with serving(shelf):
        given = publish(old, shelf.to, "stable", keys).root
        assert poll(board.root, shelf.url, "--trust", given)["outcome"] == "installed"
        publish(new, shelf.to, "stable", keys)
        hung.mkdir()
        fault = AT_STEP.format(step=step, when="after", what="hang", sign=str(tmp_path / "met"))
        text = HANGS.format(note=str(tmp_path / "child"), fault=indent(fault, "    "))
        (hung / "sitecustomize.py").write_text(text)  # every Python that finds it reads it first
        words = [sys.executable, "-c", HASTY.format(timeout_s=14.0), str(board.root), shelf.url]
        environment = {**os.environ, "PYTHONPATH": f"{SOURCE}:{hung}"}
        done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=120)
        answer = json.loads(done.stdout)
        assert answer["outcome"] == "failed", answer
        assert "did not end its `install` within 15 s" in answer["message"], "the bake time is waited for, too"
        assert (tmp_path / "met").exists()
        assert not holders(tmp_path / "child"), "what it had started has ended, too"
        assert_right_answers(board, old)
        assert poll(board.root, shelf.url)["outcome"] == "installed"
    assert_one_whole_release(board, new)


def holders(path: Path) -> list[str]:
    """Processes that have the file open."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if link.readlink() == path:
                found.append(link.parts[2])
    return found
