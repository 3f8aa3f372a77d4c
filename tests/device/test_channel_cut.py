"""Somebody was at the device, and was cut: a device that polls puts it right by itself, though no host ever comes."""

from __future__ import annotations

from pathlib import Path

from board import Board
from channels import Shelf, poll, serving
from faulty import AT_STEP, assert_one_whole_release, begin, told

from edgewright.device.boot_counter import alone
from edgewright.pipeline.channel import publish


def cut(board: Board, tmp_path: Path) -> None:
    """An operator's installation of another release, killed when it is current and nobody has been told."""
    fault = AT_STEP.format(step="switched", when="after", what="kill", sign=str(tmp_path / "met"))
    assert begin(board, board.bundle(score=0.45), fault).answer().code == -9
    assert told(board)["unfinished"]


def test_a_poll_ends_what_was_cut_even_with_nothing_to_install_and_no_server(board: Board, tmp_path: Path) -> None:
    old = board.bundle()
    (tmp_path / "place").mkdir()
    shelf = Shelf(tmp_path / "place")
    with serving(shelf):
        root = publish(old, shelf.to, "stable", tmp_path / "keys").root
        assert poll(board.root, shelf.url, "--trust", root)["outcome"] == "installed"
        before = board.names()
        cut(board, tmp_path)
        with alone(board.layout):
            busy = poll(board.root, shelf.url)
        assert "at work" in busy["unfinished"] and busy["outcome"] == "kept", "the poll goes on"
        now = poll(board.root, shelf.url)
        assert now["outcome"] == "current" and "was interrupted" in now["recovered"], now
        assert board.names() == before
        cut(board, tmp_path)
    alone_again = poll(board.root, shelf.url, "--attempts", "1")
    assert alone_again["outcome"] == "unreachable" and "was interrupted" in alone_again["recovered"], alone_again
    assert not told(board)["unfinished"] and board.names() == before
    assert_one_whole_release(board, old)
