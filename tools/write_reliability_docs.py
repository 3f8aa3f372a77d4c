"""Writes docs/reliability.md: the faults that are tested, and what becomes of the device in each.

python tools/write_reliability_docs.py > docs/reliability.md
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FAULTS = ROOT / "tests" / "faults"

HEAD = """# Faults, and what becomes of the device

Generated from the tests in `tests/faults` (`make docs`); `make test-faults` runs them and counts the faults that were survived. The
parts are real: processes that are killed, a real sshd, a disk that is really full. Power cuts are the replay of a recorded trace.

After every one of them the device serves right answers from exactly one whole release, unless the row says otherwise: `/infer` is asked,
every file of `current` and `previous` is compared with its digest.

| fault | outcome | test |
|---|---|---|
"""

FOOT = """
## Not covered

| fault | reason |
|---|---|
"""


class Collected:
    """A pytest plugin that keeps what the tests are marked with."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], list[str]] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            for mark in item.iter_markers("fault"):
                name = f"{item.path.name}::{item.name.split('[')[0]}"
                tests = self.rows.setdefault((mark.args[0], mark.kwargs["outcome"]), [])
                if name not in tests:
                    tests.append(name)


def page() -> str:
    collected = Collected()
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", str(FAULTS)], plugins=[collected])
    if code != pytest.ExitCode.OK:
        raise SystemExit(said.getvalue())
    rows = sorted(collected.rows.items(), key=lambda row: _number(row[0][0]))
    table = "".join(f"| {fault} | {outcome} | {_list(tests)} |\n" for (fault, outcome), tests in rows)
    missing = runpy.run_path(str(FAULTS / "uncovered.py"))["UNCOVERED"]
    return HEAD + table + FOOT + "".join(f"| {fault} | not covered: {reason} |\n" for fault, reason in missing.items())


def _number(fault: str) -> tuple[int, str]:
    """F2 before F10."""
    found = re.match(r"F(\d+) ", fault)
    return (int(found.group(1)) if found else 99, fault)


def _list(tests: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in tests)


if __name__ == "__main__":
    sys.stdout.write(page())
