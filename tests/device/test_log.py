"""The log of a service never grows beyond its limit."""

from __future__ import annotations

from pathlib import Path

from edgewright.device.log import Log


def test_a_log_keeps_its_newest_lines_within_its_limit(tmp_path: Path) -> None:
    log = Log(str(tmp_path / "agent.log"), limit=4000)
    for n in range(500):
        log.add(b"line %d\n" % n)
    log.add(b"x" * 10000 + b" end\n")
    log.write("last")
    text = (tmp_path / "agent.log").read_text()
    assert text.endswith("SUPERVISOR last\n")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 4100


def test_a_log_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    Log(str(tmp_path / "nowhere" / "agent.log")).write("lost")
