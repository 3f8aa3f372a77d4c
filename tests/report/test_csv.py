"""A profile as CSV, read back with the standard reader."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edgewright.core.profile import Operator, Profile
from edgewright.report.csv import operators_csv, timeline_csv, types_csv, write_csv


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_one_row_an_operator_with_its_figures(profile: Profile) -> None:
    rows = read(operators_csv(profile))
    assert len(rows) == len(profile.operators)
    assert rows[0]["name"] == "/model.0/Conv" and float(rows[0]["duration_us"]) == 6000
    assert rows[0]["inputs"] == "1×3×64×64 16×3×3×3"
    assert rows[1]["efficiency"] == "", "what is not known is empty, never 0 or nan"


def test_types_and_timeline_have_their_rows(profile: Profile) -> None:
    assert [row["type"] for row in read(types_csv(profile))] == ["Conv", "Concat"]
    assert [float(row["start_us"]) for row in read(timeline_csv(profile))] == [0.0, 6100.0, 8800.0]


def test_a_name_cannot_become_a_formula(profile: Profile) -> None:
    evil = replace(profile, operators=(Operator('=cmd|" /C calc"!A0', "@SUM", -1.0, dtype="+x", kernel="-y"),))
    (row,) = read(operators_csv(evil))
    assert all(row[key][0] == "'" for key in ("name", "type", "dtype", "kernel"))
    assert row["duration_us"] == "-1.0"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40))
def test_any_name_is_read_back(name: str) -> None:
    profile = Profile("planted", "planted", "fp32", 1.0, (Operator(name, "Conv", 1.0),))
    (row,) = read(operators_csv(profile))
    assert row["name"].removeprefix("'") == name.removeprefix("'")


def test_files_are_written_for_what_there_is(profile: Profile, tmp_path: Path) -> None:
    assert {p.name for p in write_csv(profile, tmp_path / "a")} == {
        "profile-operators.csv", "profile-types.csv", "profile-timeline.csv", "profile-memory.csv",
    }  # fmt: skip
    bare = replace(profile, timeline=(), memory=())
    assert {p.stem for p in write_csv(bare, tmp_path / "b", "int8")} == {"int8-operators", "int8-types"}
