"""The agent runs folders, videos and streams through the model and shows what it sees."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from board import ask, health

from edgewright.device.frames import FrameError, frames


def wait_source(url: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while not condition(found := health(url)["source"]):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def test_a_folder_is_run_once_and_new_images_when_they_come(start_agent: Callable[..., str], tmp_path: Path) -> None:
    folder, save, root = tmp_path / "in", tmp_path / "out", tmp_path / "root"
    root.mkdir()
    for n in range(3):
        tiny.picture(folder / f"{n}.png", n)
    (folder / "broken.png").write_bytes(b"\x89PNG no")
    (folder / "notes.txt").write_text("no image")
    url = start_agent("--source", str(folder), "--save", str(save), root=root)
    wait_source(url, lambda s: s["frames"] == 3)
    tiny.picture(folder / "late.png", 9)
    assert wait_source(url, lambda s: s["frames"] == 4)["errors"] == 0
    lines = [json.loads(line) for line in (root / "run" / "results.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines] == ["0.png", "1.png", "2.png", "late.png"]
    assert lines[0]["prediction"][0][0] == 1
    assert sorted(p.name for p in save.iterdir()) == ["0.jpg", "1.jpg", "2.jpg", "late.jpg"]
    import cv2

    drawn = cv2.imread(str(save / "0.jpg"))
    assert drawn.shape == (24, 32, 3) and drawn[0].mean() > 200, "what the task drew is in the picture"


def test_the_stream_is_motion_jpeg_of_the_running_source(start_agent: Callable[..., str], tmp_path: Path) -> None:
    for n in range(3):
        tiny.picture(tmp_path / "in" / f"{n}.png", n)
    url = start_agent("--source", f"loop:{tmp_path / 'in'}", delay_ms=20)
    with urllib.request.urlopen(url + "/stream", timeout=20) as answer:
        assert answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=edgewright"
        data = b""
        while data.count(b"--edgewright\r\n") < 4:
            data += answer.read1(65536)
    import cv2

    for part in data.split(b"--edgewright\r\n")[1:3]:
        head, body = part.split(b"\r\n\r\n", 1)
        assert b"Content-Type: image/jpeg" in head
        assert cv2.imdecode(np.frombuffer(body, np.uint8), 1).shape == (24, 32, 3)
    assert b"<img" in ask(url + "/")[1]


def test_a_video_is_run_frame_by_frame_to_its_end(start_agent: Callable[..., str], tmp_path: Path) -> None:
    import cv2

    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 50, (32, 24))
    for n in range(10):
        writer.write(np.full((24, 32, 3), 20 * n, np.uint8))
    writer.release()
    url = start_agent("--source", str(path))
    assert wait_source(url, lambda s: s["state"] == "ended")["frames"] == 10
    assert ask(url + "/stream")[0] == 200


def test_a_source_that_fails_leaves_the_service_up(start_agent: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "no-video.avi").write_bytes(b"nothing")
    url = start_agent("--source", str(tmp_path / "no-video.avi"))
    assert "cannot be opened" in wait_source(url, lambda s: s["state"] == "failed")["error"]
    assert ask(url + "/infer", tiny.picture(tmp_path / "a.png").read_bytes(), "image/png")[0] == 200


def test_requests_are_answered_while_a_source_runs(start_agent: Callable[..., str], tmp_path: Path) -> None:
    body = tiny.picture(tmp_path / "in" / "0.png").read_bytes()
    url = start_agent("--source", f"loop:{tmp_path / 'in'}", delay_ms=10)
    assert all(ask(url + "/infer", body, "image/png")[0] == 200 for _ in range(5))
    wait_source(url, lambda s: s["frames"] > 5)


@pytest.mark.parametrize("source", ["/no/such/folder", "camera:x", "camera:73"])
def test_a_source_that_is_not_there_is_said_to_be_missing(source: str) -> None:
    with pytest.raises(FrameError):
        next(frames(source, threading.Event()))
