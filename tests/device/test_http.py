"""The service over real HTTP: right answers, and clear refusals of everything else."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import tiny
from board import ask, health

from edgewright.device import tensors


@pytest.fixture(scope="module")
def url(start_agent: Callable[..., str]) -> str:
    return start_agent(fail_on_black=True)


@pytest.fixture(scope="module")
def tensor_url(start_agent: Callable[..., str]) -> str:
    return start_agent(images=False)


@pytest.fixture
def picture(tmp_path: Path) -> bytes:
    return tiny.picture(tmp_path / "a.png", 3).read_bytes()


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=array.dtype.hasobject)
    return out.getvalue()


def talk(url: str, data: bytes, wait_s: float = 20.0) -> bytes:
    """What comes back for raw bytes."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=wait_s) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        found = b""
        while piece := connection.recv(65536):
            found += piece
    return found


def refused(answer: tuple[int, bytes], status: int) -> str:
    assert answer[0] == status, answer
    error = json.loads(answer[1])["error"]
    assert error["message"] and error["remedy"] and "Traceback" not in answer[1].decode()
    return str(error["message"])


def test_an_image_gives_predictions_with_labels_and_times(url: str, picture: bytes) -> None:
    status, body = ask(url + "/infer", picture, "image/png")
    found = json.loads(body)
    assert status == 200 and set(found["predictions"][0]) == {"label", "class", "score", "box"}
    assert found["predictions"][0]["label"] == "dog" and found["simulated"] is True
    assert {"decode", "wait", "preprocess", "compute", "postprocess", "total"} == set(found["timing_ms"])


def test_pixels_give_what_the_image_gives(url: str, picture: bytes) -> None:
    import cv2

    pixels = cv2.cvtColor(cv2.imdecode(np.frombuffer(picture, np.uint8), 1), cv2.COLOR_BGR2RGB)
    bodies = {
        "image/png": picture,
        "application/x-npy": npy(pixels),
        "application/octet-stream": npy(pixels),
        "application/json": json.dumps({"inputs": {"image": pixels.tolist()}}).encode(),
    }
    answers = [json.loads(ask(url + "/infer", body, kind)[1])["predictions"] for kind, body in bodies.items()]
    assert all(answer == answers[0] for answer in answers)


def test_tensors_go_to_a_model_of_tensors_by_name_or_alone(tensor_url: str) -> None:
    x = np.full((1, 3, 4, 5), 100, np.float32)
    packed = io.BytesIO()
    np.savez_compressed(packed, x=x)
    bodies = {
        "application/x-npy": npy(x),
        "application/x-npz": packed.getvalue(),
        "application/json": json.dumps({"inputs": {"x": x.tolist()}}).encode(),
    }
    for kind, body in bodies.items():
        status, answer = ask(tensor_url + "/infer", body, kind)
        assert status == 200, answer
        y = json.loads(answer)["outputs"]["y"]
        assert (y["dtype"], y["shape"], y["data"][0][2:]) == ("float32", [1, 6], [1, 1, 4, 3])
    request = urllib.request.Request(tensor_url + "/infer", npy(x), {"Accept": "application/x-npz"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert tensors.from_npz(answer.read())["y"][0, 2:].tolist() == [1, 1, 4, 3]


def test_healthz_says_which_release_is_ready(url: str) -> None:
    found = health(url)
    assert found["ready"] is True and found["name"] == "tiny-fp32" and found["uptime_s"] >= 0 and found["simulated"]


def test_metrics_are_prometheus_text_that_adds_up(url: str, picture: bytes) -> None:
    for _ in range(3):
        ask(url + "/infer", picture, "image/png")
    lines = ask(url + "/metrics")[1].decode().splitlines()
    samples = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}
    typed = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert {"edgewright_inference_seconds", "edgewright_inference_errors_total", "edgewright_memory_bytes"} <= typed
    buckets = [v for k, v in samples.items() if k.startswith("edgewright_inference_seconds_bucket")]
    assert buckets == sorted(buckets) and buckets[-1] == samples["edgewright_inference_seconds_count"] >= 3
    assert samples["edgewright_inference_seconds_sum"] > 0
    assert any(k.startswith("edgewright_release_info{") and 'name="tiny-fp32"' in k for k in samples)


def test_readings_are_windows_with_numbers_that_only_grow(url: str, picture: bytes) -> None:
    ask(url + "/infer", picture, "image/png")
    first = json.loads(ask(url + "/readings?since=0")[1])
    assert sum(r["count"] for r in first["readings"]) >= 1
    numbers = [r["seq"] for r in first["readings"]]
    assert numbers == sorted(set(numbers)) and first["last"] == numbers[-1]
    ask(url + "/infer", picture, "image/png")
    then = json.loads(ask(f"{url}/readings?since={numbers[-1]}")[1])["readings"]
    assert then and all(r["seq"] > numbers[-1] for r in then) and then[0]["p95"] > 0


def test_the_page_for_people_is_whole_html(url: str) -> None:
    status, body = ask(url + "/")
    assert status == 200 and b"tiny-fp32" in body and b"/infer" in body


def test_a_request_that_is_wrong_is_told_why(url: str, tensor_url: str, picture: bytes) -> None:
    refused(ask(url + "/nothing"), 404)
    refused(ask(url + "/infer"), 405)
    refused(ask(url + "/healthz", b"x", method="DELETE"), 405)
    refused(ask(url + "/infer", b"", "image/png"), 400)
    refused(ask(url + "/infer", b"no image", "image/jpeg"), 415)
    refused(ask(url + "/infer", b"hello", "text/plain"), 415)
    refused(ask(url + "/infer", picture[: len(picture) // 2], "image/png"), 415)
    refused(ask(url + "/infer", b"{", "application/json"), 400)
    refused(ask(url + "/infer", b'{"inputs": {"a": "b"}}', "application/json"), 400)
    refused(ask(url + "/infer", b'{"inputs": {"a": [[1], [2, 3]]}}', "application/json"), 400)
    refused(ask(url + "/infer", b"[" * 100_000, "application/json"), 400)
    refused(ask(url + "/readings?since=x"), 400)
    refused(ask(url + "/stream"), 404)
    refused(ask(tensor_url + "/infer", picture, "image/png"), 415)
    assert "takes float32" not in refused(ask(tensor_url + "/infer", npy(np.zeros((2, 2))), "application/x-npy"), 400)
    assert health(url)["ready"]


@pytest.mark.parametrize(
    "array",
    [np.array([{}], object), np.zeros((4, 4)), np.zeros((2, 2, 3), np.complex64), np.zeros((0, 2, 3), np.uint8)],
    ids=["pickle", "two dimensions", "complex", "empty"],
)
def test_an_array_that_is_no_picture_is_refused(url: str, array: np.ndarray) -> None:
    refused(ask(url + "/infer", npy(array), "application/x-npy"), 400)


def test_an_array_that_lies_about_its_size_is_refused_before_memory_is_given(url: str) -> None:
    honest = npy(np.zeros((4, 4, 3), np.uint8))
    garbled = honest.replace(b"(4, 4, 3), }", b"(4000000, 40")
    huge = honest[:10] + honest[10:].replace(b"(4, 4, 3)", b"(9999999999, 9999999999, 3)", 1)
    for body in (garbled, huge, honest[:-5], honest + b"more"):
        refused(ask(url + "/infer", body, "application/x-npy"), 400)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", b"\0" * (300 << 20))
    refused(ask(url + "/infer", bomb.getvalue(), "application/x-npz"), 400)
    assert health(url)["ready"]


def test_a_body_over_the_limit_is_refused_unread(url: str) -> None:
    answer = talk(url, b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\nabc")
    assert answer.startswith(b"HTTP/1.1 413 ") and b"Connection: close" in answer


def test_bodies_together_are_bounded_before_they_are_read(url: str, picture: bytes) -> None:
    parts = urlsplit(url)
    head = b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (60 << 20)
    waiting = [socket.create_connection((parts.hostname, parts.port), timeout=20) for _ in range(3)]
    for connection in waiting:
        connection.sendall(head)
    time.sleep(0.3)
    assert talk(url, head).startswith(b"HTTP/1.1 503 ")
    for connection in waiting:
        connection.close()
    deadline = time.monotonic() + 20
    while ask(url + "/infer", picture, "image/png")[0] != 200:
        assert time.monotonic() < deadline
    head = head.replace(b"Host: x", b"Content-Type: application/json")
    assert talk(url, head).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST /infer HTTP/1.1\r\nHost: x\r\n\r\n", b"411"),
        (b"POST /infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"411"),
        (b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", b"400"),
        (b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"505"),
        (b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"431"),
        (b"BREW /infer HTTP/1.1\r\nHost: x\r\n\r\n", b"501"),
    ],
)
def test_broken_http_is_answered_in_json(url: str, request_bytes: bytes, status: bytes) -> None:
    answer = talk(url, request_bytes)
    assert answer.split(b" ", 2)[1] == status, answer[:300]
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]["message"]
    assert health(url)["ready"]


def test_a_failing_model_is_counted_and_the_service_lives(url: str, tmp_path: Path) -> None:
    black = npy(np.zeros((8, 8, 3), np.uint8))
    before = sum(r["errors"] for r in json.loads(ask(url + "/readings?since=0")[1])["readings"])
    for _ in range(3):
        assert "failed on this request" in refused(ask(url + "/infer", black, "application/x-npy"), 500)
    after = sum(r["errors"] for r in json.loads(ask(url + "/readings?since=0")[1])["readings"])
    assert after - before == 3 and health(url)["ready"]


def test_several_requests_go_over_one_connection(url: str, picture: bytes) -> None:
    import http.client

    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    for _ in range(3):
        connection.request("POST", "/infer", picture, {"Content-Type": "image/png"})
        assert json.loads(connection.getresponse().read())["predictions"]
    connection.request("HEAD", "/healthz")
    answer = connection.getresponse()
    assert answer.status == 200 and answer.read() == b""
    connection.close()


def test_more_requests_than_can_wait_are_told_to_come_again(start_agent: Callable[..., str]) -> None:
    slow = start_agent(delay_ms=300)
    body = npy(np.ones((4, 4, 3), np.uint8))
    statuses: list[int] = []

    def post() -> None:
        statuses.append(ask(slow + "/infer", body, "application/x-npy")[0])

    threads = [threading.Thread(target=post) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200, 503}
    assert statuses.count(200) >= 10 and health(slow)["ready"]


def test_silent_connections_do_not_keep_others_out_for_ever(url: str) -> None:
    parts = urlsplit(url)
    idle = [socket.create_connection((parts.hostname, parts.port), timeout=20) for _ in range(70)]
    time.sleep(0.3)
    turned_away = idle[-1].recv(4096)
    assert turned_away.startswith(b"HTTP/1.1 503 ")
    for connection in idle:
        connection.close()
    deadline = time.monotonic() + 20
    while ask(url + "/healthz")[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
