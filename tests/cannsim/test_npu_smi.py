"""npu-smi: the layouts of real boards, a chip that warms with its load, injected faults."""

from __future__ import annotations

import re
import struct
import time

import pytest

pytestmark = pytest.mark.slow

REAL_310B4 = """\
+--------------------------------------------------------------------------------------------------------+
| npu-smi 25.0.rc1.1                               Version: 25.0.rc1.1                                   |
+-------------------------------+-----------------+------------------------------------------------------+
| NPU     Name                  | Health          | Power(W)     Temp(C)           Hugepages-Usage(page) |
| Chip    Device                | Bus-Id          | AICore(%)    Memory-Usage(MB)                        |
+===============================+=================+======================================================+
| 0       310B4                 | OK              | 7.2          42                15    / 15            |
| 0       0                     | NA              | 0            1331 / 3513                             |
+===============================+=================+======================================================+
"""


def publish(toolkit, name: str, pid: int, memory: int, quick: float, slow: float) -> None:
    data = struct.pack("<8sQqqdd24s", b"CANNSIM1", pid, memory, time.monotonic_ns(), quick, slow, name.encode())
    (toolkit.state / f"proc-{pid}").write_bytes(data)


@pytest.fixture(autouse=True)
def quiet(toolkit):
    for path in toolkit.state.glob("proc-*"):
        path.unlink()
    yield
    for path in toolkit.state.glob("proc-*"):
        path.unlink()


def test_an_idle_board_prints_the_real_table(toolkit, tmp_path):
    assert toolkit.run("npu-smi", "info", cwd=tmp_path).stdout == REAL_310B4


def test_a_310p_has_no_power_and_lists_processes(toolkit, tmp_path):
    import os

    publish(toolkit, "detector", os.getpid(), 300 << 20, 0.5, 0.1)
    text = toolkit.run("npu-smi", "info", cwd=tmp_path, CANNSIM_SOC="Ascend310P3").stdout
    assert "| 1       310P3                 | OK              | NA " in text
    assert re.search(r"0000:01:00.0 +\| \d+ +2194 / 44215", text)
    assert re.search(rf"\| {os.getpid()} +\| detector +\| 300 ", text)
    assert len({len(line) for line in text.splitlines()}) == 1


def test_temperature_and_use_follow_the_load(toolkit, tmp_path):
    import os

    publish(toolkit, "busy", os.getpid(), 0, 1.0, 1.0)
    text = toolkit.run("npu-smi", "info", "-t", "common", "-i", "0", cwd=tmp_path).stdout
    values = dict(re.findall(r"\t(\S.*?) +: (\S+)", text))
    assert int(values["Temperature(C)"]) > 70
    assert int(values["Aicore Usage Rate(%)"]) > 50
    assert float(values["NPU Real-time Power(W)"]) > 9


def test_details_are_in_the_vendors_line_format(toolkit, tmp_path):
    text = toolkit.run("npu-smi", "info", "-t", "usages", "-i", "0", cwd=tmp_path).stdout
    assert "\tMemory Capacity(MB)            : 3513\n" in text
    assert toolkit.run("npu-smi", "info", "-l", cwd=tmp_path).stdout.startswith(
        "\tTotal Count                    : 1\n"
    )
    assert "310B4" in toolkit.run("npu-smi", "info", "-m", cwd=tmp_path).stdout
    assert toolkit.run("npu-smi", "info", "-t", "nothing", "-i", "0", cwd=tmp_path).returncode == 1
    assert toolkit.run("npu-smi", "info", "-t", "temp", "-i", "7", cwd=tmp_path).returncode == 1


@pytest.mark.parametrize(
    ("fault", "text", "code"),
    [
        ("-8005", "dcmi module initialize failed. ret is -8005", 1),
        ("busy", "dcmi model initialized failed, because the device is used. ret is -8020", 1),
        ("hot", "| Alarm ", 0),
        ("oom", "3513 / 3513", 0),
    ],
)
def test_faults_come_from_the_environment_or_from_the_state_folder(toolkit, tmp_path, fault, text, code):
    done = toolkit.run("npu-smi", "info", cwd=tmp_path, CANNSIM_FAULT=fault)
    assert text in done.stdout
    assert done.returncode == code
    (toolkit.state / "fault").write_text(fault)
    try:
        assert text in toolkit.run("npu-smi", "info", cwd=tmp_path).stdout
    finally:
        (toolkit.state / "fault").unlink()
