"""A pytest plugin that counts the faults that were made, and says at the end how many were survived, and how far each
test looked.

`@pytest.mark.fault("F6 a disk that is full", outcome="the old release serves on")` marks a test as a row of the fault
list; `borrowed` are tests that live elsewhere and are such rows, too. What a row claims about asking the device is
held against what its test did: see `asked`.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import pytest

_asked: list[bool] = []
"""One entry each time that the test of this moment had /infer answer rightly."""


def asked() -> None:
    """Called where /infer of the device gave the right answer."""
    _asked.append(True)


def asks(node: str, rows: Mapping[str, Any]) -> bool:
    """Whether a row (its node id without parameters) claims that the device is asked after the fault. `rows` is what
    tests/faults/rows.py defines: tests that live elsewhere ask where ASKED says so, those of tests/faults unless ALONE
    does."""
    return node in rows["ASKED"] if node in rows["BORROWED"] else node not in rows["ALONE"]


class Survival:
    """`rows` as of `asks`."""

    def __init__(self, rows: Mapping[str, Any]) -> None:
        self._rows = rows
        self.met = self.survived = self.elsewhere = self.asked = 0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            known = self._rows["BORROWED"].get(item.nodeid.split("[")[0])
            if known:
                item.add_marker(pytest.mark.fault(known[0], outcome=known[1]))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        _asked.clear()  # what a fixture asked was before the fault

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        report = yield
        if item.get_closest_marker("fault") and (report.when == "call" or not report.passed):
            claimed = asks(item.nodeid.split("[")[0], self._rows)
            report.user_properties += [("fault", True), ("looked", claimed)]
            if report.passed and claimed != bool(_asked):
                report.outcome = "failed"
                report.longrepr = (
                    f"{item.nodeid} {'does not ask' if claimed else 'asks'} the device: see faults/rows.py"
                )
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called where the summary is written, whichever process ran the test."""
        told = dict(report.user_properties)
        if "fault" not in told:
            return
        faults = int(str(told.get("faults", 1)))
        if report.skipped:
            self.elsewhere += 1
            return
        self.met += faults
        if report.passed:
            self.survived += faults
            self.asked += int(str(told.get("asked", faults))) if told["looked"] else 0

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.met:
            how = f"{self.asked} with the device asked afterwards, {self.survived - self.asked} on the part alone"
            also = f"; {self.elsewhere} could not be made on this machine" if self.elsewhere else ""
            terminalreporter.write_line(f"{self.survived} of {self.met} faults survived: {how}{also}")
