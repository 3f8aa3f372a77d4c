"""What the journal tells of operations that were interrupted or failed."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.device import processes
from edgewright.device.journal import ENDS, STEPS
from edgewright.device.mishaps import INTERRUPTED, last, sentence

OLD, NEW = "1-" + "a" * 12, "2-" + "b" * 12


def journal(*steps: Any, **begun: Any) -> list[dict[str, Any]]:
    """Records of an operation; a step with facts is a pair."""
    records = [{"step": step} if isinstance(step, str) else {"step": step[0], **step[1]} for step in steps]
    return [{"step": "begun", "release": NEW, "old": OLD, "wall": 1.0, **begun}, *records]


WELL = journal("received", "switching", "committed")


def test_there_is_none_where_all_went_well() -> None:
    assert last([]) is None and last(WELL) is None and last(WELL + WELL) is None


@pytest.mark.parametrize(
    ("records", "outcome"),
    [
        (journal("received", ("refused", {"reason": "No space"})), f"{OLD} is kept"),
        (journal("received", ("rolled back", {"reason": "No space"})), f"{OLD} is back"),
        (journal("received", ("refused", {"reason": "No space"}), old=None), "there was no release before it"),
        (
            journal("received", ("reverted", {"reason": "No space", "to": OLD})),
            f"the device went back to {OLD} by itself",
        ),
    ],
)
def test_a_failure_is_told_with_its_step_reason_and_outcome(records: list[dict[str, Any]], outcome: str) -> None:
    found = last(records)
    assert found is not None
    assert (found["op"], found["step"], found["release"], found["reason"]) == ("install", "received", NEW, "No space")
    assert found["outcome"] == outcome and found["over"] is False
    assert last(records + WELL) == dict(found, over=True)
    said = f"The installation of {NEW} ended after the step `received`: No space; {outcome}."
    assert sentence(found) == said


def test_a_new_release_that_served_already_is_kept_after_an_interruption() -> None:
    found = last(journal("switched", ("committed", {"recovered": True}), rollback=True))
    assert found is not None and (found["op"], found["reason"]) == ("rollback", INTERRUPTED)
    assert sentence(found).endswith("`switched`: the installer was interrupted; it was serving already, and is kept.")


def test_one_that_is_at_work_is_told_from_one_that_was_interrupted() -> None:
    at_work = last(journal("received", by=processes.identity(os.getpid())))
    dead = last(journal("received", by={"pid": os.getpid(), "started": -1}))
    assert at_work is not None and (at_work["step"], at_work["outcome"]) == ("received", "it is at work")
    assert dead is not None and dead["reason"] == INTERRUPTED and "next operation" in dead["outcome"]


def test_a_way_back_of_the_device_itself_is_no_end_of_an_operation_that_was_over() -> None:
    assert last([*WELL, {"step": "reverted", "release": NEW, "to": OLD, "reason": "it crashes"}]) is None


@given(st.lists(st.sampled_from([*STEPS, *ENDS, "mended"]), max_size=30))
def test_any_journal_is_understood(steps: list[str]) -> None:
    found = last([{"step": step} for step in steps])
    assert found is None or sentence(found).endswith(".")
