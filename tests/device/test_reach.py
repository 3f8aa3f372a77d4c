"""A toolkit in somebody's home stays readable for the service, and what is not is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgewright.device import managers, reach, units
from edgewright.device.release import Layout


@pytest.fixture
def ann(tmp_path: Path) -> Path:
    """CANN in ann's home, as 8.x lies there: `latest` holds links to the version beside it."""
    version = tmp_path / "home" / "ann" / "Ascend" / "ascend-toolkit" / "8.1.RC1"
    (version / "lib64").mkdir(parents=True)
    (version / "opp").mkdir()
    latest = version.parent / "latest"
    latest.mkdir()
    for name in ("lib64", "opp"):
        (latest / name).symlink_to(f"../8.1.RC1/{name}")
    (tmp_path / "home" / "ann" / ".ssh").mkdir()
    (latest / "keys").symlink_to("../../../.ssh")
    return latest


def reached(latest: Path, environment: dict[str, str]) -> list[str]:
    home = f"{latest.parents[3]}/"
    found = reach.under_homes({"environment": environment}, (home,))
    return [os.path.relpath(path, home) for path in found]


def test_folders_of_the_runtimes_variables_are_shown_with_what_their_links_lead_to(ann: Path) -> None:
    environment = {
        "LD_LIBRARY_PATH": f"/usr/lib:{ann}/lib64:{ann}/not-there",
        "ASCEND_HOME_PATH": str(ann),
        "ASCEND_GLOBAL_LOG_LEVEL": "3",
        "ELSE": str(ann.parents[2] / ".ssh"),
    }
    folder = "ann/Ascend/ascend-toolkit"
    assert reached(ann, environment) == [f"{folder}/8.1.RC1/lib64", f"{folder}/8.1.RC1/opp", f"{folder}/latest"]


def test_a_whole_home_is_never_shown(ann: Path) -> None:
    assert reached(ann, {"LD_LIBRARY_PATH": f"{ann.parents[2]}:{ann.parents[3]}"}) == []
    assert not reach._is_below_a_home("/root", reach.HIDDEN) and reach._is_below_a_home("/root/Ascend", reach.HIDDEN)
    assert not reach._is_below_a_home("/home/ann", reach.HIDDEN)


def test_a_folder_that_others_may_not_read_is_said_and_a_closed_home_is_not(ann: Path) -> None:
    ann.parents[2].chmod(0o700)
    assert reach.closed([str(ann)], ()) == [], "what is bound is not reached through the home"
    ann.chmod(0o750)
    (said,) = reach.closed([str(ann)], ())
    assert "750" in said and str(ann) in said


def test_what_is_not_readable_is_a_note_of_the_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(str(tmp_path / "device"))
    layout.make()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(managers, "_do", lambda act: "")
    managers.adopt(layout, {}, units.Host("systemd", "python3", homes=(str(closed),)))
    assert [str(closed) in note for note in managers.notes(layout)] == [True]
