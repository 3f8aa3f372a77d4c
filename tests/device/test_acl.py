"""What AscendCL's codes and texts become."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.device import acl

NEW = b"""[PID: 4711] 2026-11-22-10:00:01.123.456 Invalid_File(EH0004): The model was built for another chip.
        Possible Cause: the soc_version differs.
        TraceBack (most recent call last):
[PID: 4711] 2026-11-22-10:00:01.123.400 Inner_Error(E19999): load failed.
        TraceBack (most recent call last):
"""


def test_the_vendors_text_is_told_without_process_times_and_stacks():
    told = acl.spoken(NEW)
    assert told == (
        "Invalid_File(EH0004): The model was built for another chip. Possible Cause: the soc_version differs. "
        "Inner_Error(E19999): load failed."
    )
    assert acl.spoken(b"EH0001: Value [3] is invalid.\n") == "EH0001: Value [3] is invalid."
    assert acl.spoken(b"") == ""


@given(st.binary(max_size=4000))
def test_any_text_becomes_one_short_line(text):
    told = acl.spoken(text)
    assert len(told) <= 600 and "\n" not in told


@pytest.mark.parametrize(
    ("call", "code", "word"),
    [
        ("aclInit", 507899, "HwHiAiUser"),
        ("aclrtSetDevice", 507008, "HwHiAiUser"),
        ("aclrtSetDevice", 507033, "Another program"),
        ("aclmdlLoadFromFile", 545001, "--mode=6"),
        ("aclmdlQuerySize", 145006, "--mode=6"),
        ("aclmdlExecute", 145000, "ascend/log"),
        ("aclrtMalloc", 207001, "Free memory"),
        ("aclmdlLoadFromFile", 245000, "Free memory"),
        ("aclInit", 100039, "stub"),
    ],
)
def test_a_code_has_its_remedy(call, code, word):
    assert word in acl.remedy(call, code)
