"""soc_version is a chip's name, spelled as atc spells it; anything else is refused with the right one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.core.errors import ConfigError
from edgewright.targets.cann import soc


@pytest.mark.parametrize("name", [name for name in soc.KNOWN if name != "Ascend910B"])
def test_a_chip_that_atc_knows_passes(name: str) -> None:
    assert soc.checked(name) == name


@pytest.mark.parametrize(
    ("text", "suggested"),
    [
        ("Ascend310B", "Ascend310B4"),
        ("Ascend310B", "Ascend310B1"),
        ("ascend310b", "Ascend310B4"),
        ("310B", "Ascend310B4"),
        ("Ascend310P", "Ascend310P3"),
        ("Ascend910B", "Ascend910B3"),
        ("910b", "Ascend910B3"),
        ("Ascend910", "Ascend910A"),
        ("Ascend910C", "Ascend910_9392"),
        ("310B4", "Ascend310B4"),
        ("ascend310b4", "Ascend310B4"),
        ("ASCEND310P3", "Ascend310P3"),
        ("Ascend 310B4", "Ascend310B4"),
        ("Ascend310B4 ", "Ascend310B4"),
        ("Ascend310B7", "Ascend310B4"),
        ("Ascend910B5", "Ascend910B4-1"),
        ("", "Known"),
    ],
)
def test_a_wrong_or_vague_name_is_refused_with_the_right_one(text: str, suggested: str) -> None:
    with pytest.raises(ConfigError) as caught:
        soc.checked(text)
    assert suggested in caught.value.remedy


def test_the_vendors_rule_names_the_chip() -> None:
    assert soc.from_npu_smi_name("310B4") == "Ascend310B4"
    assert soc.from_npu_smi_name("Ascend 910B3") == "Ascend910B3"
    assert soc.from_npu_smi_name("910B4-1") == "Ascend910B4-1"
    assert soc.from_npu_smi_name("310P3", npu_name="NA") == "Ascend310P3"


@pytest.mark.parametrize("npu_name", ["9382", "Ascend910_9382", "910_9382"])
def test_an_a3_chip_is_named_with_its_npu_name(npu_name: str) -> None:
    assert soc.from_npu_smi_name("Ascend910", npu_name) == "Ascend910_9382"


def test_a_chip_newer_than_the_table_is_named_by_the_same_rule() -> None:
    assert soc.from_npu_smi_name("Ascend950PR", "9579") == "Ascend950PR_9579"


@pytest.mark.parametrize("name", ["", "NA", "GeForce", "310; rm -rf /", "Ascend", "31"])
def test_what_is_no_chip_is_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        soc.from_npu_smi_name(name)


def test_a_chip_newer_than_the_table_can_be_named_as_the_rule_names_it() -> None:
    assert soc.checked("Ascend950PR_9579") == "Ascend950PR_9579"
    for wrong in ("Ascend950PR", "Ascend950PR_", "Ascend950PR_9579; rm", "ascend950pr_9579", "Ascend950PR_9579\n"):
        with pytest.raises(ConfigError):
            soc.checked(wrong)


def test_the_devices_own_word_for_a_chip_is_taken_and_a_familys_name_is_not() -> None:
    assert soc.checked("Ascend310B7", reported="Ascend310B7") == "Ascend310B7"
    for text in ("Ascend310B", "Ascend910B", "Ascend310B7; rm", "Ascend"):
        with pytest.raises(ConfigError):
            soc.checked(text, reported=text)
    with pytest.raises(ConfigError):
        soc.checked("Ascend310B8", reported="Ascend310B7")


@given(st.text(max_size=30))
def test_any_text_is_a_known_chip_or_refused(text: str) -> None:
    try:
        assert soc.checked(text) in soc.KNOWN or soc.NEWER.fullmatch(text)
    except ConfigError as error:
        assert error.remedy
