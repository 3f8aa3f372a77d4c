"""The journal says what was done, whatever its tail looks like."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.device.journal import KEPT_BYTES, Journal


def test_an_installation_is_open_until_it_ends(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "j"))
    assert journal.open_installation() is None
    journal.record("begun", number=4)
    journal.record("received")
    assert [r["step"] for r in journal.open_installation() or []] == ["begun", "received"]
    journal.record("committed")
    assert journal.open_installation() is None
    journal.record("begun", number=5)
    assert [r["number"] for r in journal.open_installation() or []] == [5]
    assert journal.last_number() == 5


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(0, 400), garbage=st.binary(max_size=20))
def test_a_cut_line_is_as_if_it_had_not_been_written(tmp_path_factory: object, cut: int, garbage: bytes) -> None:
    journal = Journal(str(tmp_path_factory.mktemp("j") / "j"))  # type: ignore[attr-defined]
    for step in ("begun", "received", "assembled"):
        journal.record(step)
    path = Path(journal.path)
    whole = path.read_bytes()
    path.write_bytes(whole[: cut % len(whole)] + garbage)
    before = [r["step"] for r in journal.read()]
    assert before == ["begun", "received", "assembled"][: len(before)]
    journal.record("begun")
    assert journal.read()[-1]["step"] == "begun"


def test_it_is_shortened_between_installations(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "j"))
    line = b'{"step": "committed", "number": 3, "pad": "%s"}\n' % (b"x" * 1000)
    Path(journal.path).write_bytes(line * (KEPT_BYTES // len(line) + 2))
    journal.record("committed", number=9)
    journal.shorten()
    assert Path(journal.path).stat().st_size < KEPT_BYTES and journal.last_number() == 9
