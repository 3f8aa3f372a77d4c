"""What every test may ask for, and the one rule about skipping.

A test that cannot run says why. Where everything must run (`EDGEWRIGHT_REQUIRE_ALL=1`, as in .ci/run)
such a skip is a failure, unless its reason begins with "elsewhere:" — it needs another operating
system or a piece of hardware, which no installation here could bring.
"""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Before any library is imported: nothing a test runs may call home.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OPENVINO_TELEMETRY_ENABLED", "0")


def pytest_configure(config: pytest.Config) -> None:
    """Faults are counted here, since the process that writes the summary need not be one that runs tests."""
    from survival import Survival

    rows = runpy.run_path(str(ROOT / "tests" / "faults" / "rows.py"))
    config.addinivalue_line("markers", "fault(name, outcome): a fault of the list, and what the device does about it")
    config.pluginmanager.register(Survival(rows), "survival")


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real models and images beside the checkout (EDGEWRIGHT_SHARED overrides)."""
    folder = Path(os.environ.get("EDGEWRIGHT_SHARED") or ROOT.parent / "shared")
    if not (folder / "models").is_dir():
        pytest.skip(f"no models in {folder}: set EDGEWRIGHT_SHARED to the shared folder")
    return folder.resolve()


@pytest.fixture(scope="session")
def toolkit(tmp_path_factory):
    """An installed stand-in for an Ascend device (support/stand_in.py)."""
    import stand_in

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return stand_in.installed(tmp_path_factory.mktemp("cannsim"), shared / "stand-in")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and os.environ.get("EDGEWRIGHT_REQUIRE_ALL") == "1" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not reason.removeprefix("Skipped: ").startswith("elsewhere:"):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped where everything must run. {reason}"
    return report


def pytest_collectreport(report):
    if report.skipped and os.environ.get("EDGEWRIGHT_REQUIRE_ALL") == "1":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not reason.removeprefix("Skipped: ").startswith("elsewhere:"):
            report.outcome = "failed"
            report.longrepr = f"{report.nodeid} was skipped where everything must run. {reason}"
