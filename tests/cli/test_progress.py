"""Progress: plain lines where there is no terminal, a bar where there is one, never on stdout."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

PROGRAM = """
import sys, time
from edgewright.cli.progress import drawn
with drawn() as p:
    p.stage("load", "a model\\x1b[31m with a colour in its name")
    p.stage("check", "int8")
    for i in range(5):
        p.step(i, 5, "alternating rounds")
        time.sleep(0.05)
    p.note("a note")
"""


def test_plain_lines_where_there_is_no_terminal() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert done.stdout == ""
    assert done.stderr.splitlines() == ["load: a model [31m with a colour in its name", "check: int8", "note: a note"]


def test_a_bar_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stderr=theirs, stdout=subprocess.PIPE, env=environment, text=True
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:
            break
        if not part:
            break
        seen += part
    assert child.wait(60) == 0
    text = seen.decode()
    assert "check" in text and "alternating rounds" in text and "━" in text
    assert "a model\x1b[31m" not in text
    assert child.stdout is not None and child.stdout.read() == ""
