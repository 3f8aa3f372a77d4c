"""A process is known by its number and its start time."""

from __future__ import annotations

import os
import subprocess
import sys

from edgewright.device import processes


def test_a_process_is_alive_until_it_ends() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    known = processes.identity(child.pid)
    assert known is not None and processes.alive(known)
    assert not processes.alive({**known, "started": "1"})
    child.kill()
    assert processes.wait_gone(known, 10.0), "a process that ended and waits for its parent is gone"
    child.wait()
    assert processes.identity(child.pid) is None and not processes.send(known, 15)


def test_end_is_polite_then_not() -> None:
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"up\n"
    assert processes.end(processes.identity(child.pid), 0.2)
    assert child.wait() == -9
    child.stdout.close()


def test_nonsense_is_no_process() -> None:
    for known in (
        None,
        {},
        {"pid": "1"},
        {"pid": 0, "started": None},
        {"pid": -1, "started": "x"},
        {"pid": os.getpid()},
    ):
        assert not processes.alive(known)
