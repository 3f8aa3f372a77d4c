"""A pytest plugin that counts the faults that were made, and says at the end how many were survived.

`@pytest.mark.fault("F6 a disk that is full", outcome="the old release serves on")` marks a test as a row of the fault
list; `borrowed` are tests that live elsewhere and are such rows, too.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import pytest


class Survival:
    """`borrowed`: node id → (fault, outcome)."""

    def __init__(self, borrowed: Mapping[str, tuple[str, str]]) -> None:
        self._borrowed = borrowed
        self.met = self.survived = self.elsewhere = 0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            known = self._borrowed.get(item.nodeid.split("[")[0])
            if known:
                item.add_marker(pytest.mark.fault(known[0], outcome=known[1]))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        report = yield
        if item.get_closest_marker("fault") and (report.when == "call" or not report.passed):
            report.user_properties.append(("fault", True))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called where the summary is written, whichever process ran the test."""
        told = dict(report.user_properties)
        if "fault" not in told:
            return
        faults = max([int(str(value)) for name, value in report.user_properties if name == "faults"], default=1)
        if report.skipped:
            self.elsewhere += 1
        else:
            self.met += faults
            self.survived += faults if report.passed else 0

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.met:
            also = f"; {self.elsewhere} could not be made on this machine" if self.elsewhere else ""
            terminalreporter.write_line(f"{self.survived} of {self.met} faults survived{also}")
