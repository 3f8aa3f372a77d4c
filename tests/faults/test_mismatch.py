"""Releases that are not for the device, or not what was checked: told before a byte is sent."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from board import Board
from faulty import assert_one_whole_release, hand_over, install, install_as_it_is
from stand_in import Toolkit

from edgewright.core.errors import InputError, RejectedRelease
from edgewright.core.record import canonical
from edgewright.pipeline.bundle import Bundle, Needs, read_bundle, write_bundle

pytestmark = pytest.mark.slow


@pytest.fixture
def standing(old_board: Board) -> Board:
    """A device with a release and one before it."""
    if old_board.names()[1] is None:
        for score in (0.3, 0.5):
            assert install(old_board, old_board.bundle(score=score)).code == 0
    return old_board


def needing(bundle: Bundle, folder: Path, **needs: Any) -> Bundle:
    """The same files for another kind of device."""
    wanted: Needs = replace(bundle.needs, **needs)
    files: dict[str, Path | bytes] = {name: bundle.blob(digest) for name, digest in bundle.files.items()}
    files["needs.json"] = canonical(wanted)
    return write_bundle(files, {}, "tiny", folder)


REFUSED = "refused before a byte is sent, and again by the installer itself; the old release serves on"


@pytest.mark.fault("F10 a release for another chip, machine, runtime, Python or libc", outcome=REFUSED)
@pytest.mark.parametrize(
    ("needs", "said"),
    [
        ({"soc_version": "Ascend310B4"}, "compiled for Ascend310B4"),
        ({"machine": "riscv64"}, "checked on riscv64"),
        ({"runtimes": {"numpy": ("0.1", "0.2")}}, "checked with numpy 0.1"),
        ({"runtimes": {"no-such-runtime": ("1", "2")}}, "the device has none"),
        ({"python": "9.1"}, "has Python"),
        ({"glibc": "9.9"}, "needs glibc 9.9"),
        ({"memory_bytes": 1 << 60}, "of memory"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_another_device(standing: Board, tmp_path: Path, needs: dict[str, Any], said: str) -> None:
    old, before = standing.bundle(score=0.5), standing.names()
    wrong = needing(standing.bundle(score=0.4), tmp_path / "bundle", **needs)
    with pytest.raises(RejectedRelease, match=said):
        standing.deploy(wrong)
    assert not list(Path(standing.layout.incoming).iterdir())
    hand_over(standing, wrong)
    answer = install_as_it_is(standing, wrong)
    assert answer.code == 3 and said in answer.message, answer
    assert_one_whole_release(standing, old)
    assert standing.names() == before
    for path in Path(standing.layout.incoming).iterdir():
        path.unlink()


@pytest.mark.fault(
    "F10 a model for one chip sent to a device with another (the stand-in's)", outcome="refused before a byte is sent"
)
def test_another_chip(standing: Board, tmp_path: Path, toolkit: Toolkit, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = needing(standing.bundle(score=0.4), tmp_path / "bundle", soc_version="Ascend910B3")
    for name, value in toolkit.environment(CANNSIM_SOC="Ascend310B4").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RejectedRelease, match="compiled for Ascend910B3, and the device has Ascend310B4"):
        standing.deploy(wrong)
    assert not list(Path(standing.layout.incoming).iterdir())
    assert_one_whole_release(standing, standing.bundle(score=0.5))


@pytest.mark.fault(
    "F11 labels of another count, order or base than those that were checked",
    outcome="there is no such bundle: neither packing nor reading makes one",
)
@pytest.mark.parametrize("labels", [["dog", "cat"], ["cat"], ["background", "cat", "dog"]], ids=",".join)
def test_other_labels(standing: Board, tmp_path: Path, labels: list[str]) -> None:
    bundle = standing.bundle(score=0.4)
    files: dict[str, Path | bytes] = {name: bundle.blob(digest) for name, digest in bundle.files.items()}
    service = json.loads(bundle.blob(bundle.files["service.json"]).read_text())
    service["task"]["labels"] = labels
    files["service.json"] = json.dumps(service).encode()
    with pytest.raises(InputError, match="labels"):
        write_bundle(files, {}, "tiny", tmp_path / "bundle")
    with pytest.raises(InputError, match="labels"):
        read_bundle(tmp_path / "bundle")
    assert_one_whole_release(standing, standing.bundle(score=0.5))
