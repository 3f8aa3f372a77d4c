"""The table of atc's options: whole, and of one mind with the stand-in's."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from edgewright.targets.cann import atc_options


@pytest.fixture(scope="module")
def stand_in_flags(root: Path):
    """The option table of the stand-in's atc."""
    sys.path.insert(0, str(root / "cannsim" / "python"))
    yield importlib.import_module("cannsim_tools.atc.flags").FLAGS
    sys.path.remove(str(root / "cannsim" / "python"))


def test_every_name_that_a_row_mentions_is_an_option() -> None:
    known = atc_options.options()
    for option in known.values():
        named = {*option.excludes, *option.needs, *option.only_with, *option.never_with}
        named |= {option.instead} if option.instead else set()
        assert named <= set(known), option.name


def test_defaults_and_limits_are_among_the_values() -> None:
    for option in atc_options.options().values():
        if option.values and option.default and option.name != "framework":  # -1 says that none was given
            assert option.default in option.values, option.name
        limited = [*option.chips, *(value for values in option.frameworks.values() for value in values)]
        assert not option.values or set(limited) <= set(option.values), option.name


def test_no_option_excludes_or_needs_itself() -> None:
    for option in atc_options.options().values():
        assert option.name not in (*option.excludes, *option.needs)
        assert not set(option.excludes) & set(option.needs), option.name


def test_what_does_not_exist_is_not_in_the_table() -> None:
    for (name, value), row in atc_options.unreal().items():
        if value:
            assert value not in atc_options.options()[name].values
        else:
            assert not atc_options.find(name), f"{name} is an option, or begins one"
        assert row.why.endswith(".") and row.instead.endswith(".")


def test_the_stand_in_knows_the_same_options_and_values(stand_in_flags) -> None:
    table = atc_options.options()
    assert set(stand_in_flags) <= set(table)
    for name, flag in stand_in_flags.items():
        if flag.values and table[name].values:
            assert set(flag.values) == set(table[name].values), name
    newer = {name for name in set(table) - set(stand_in_flags) if not (table[name].since or table[name].deprecated)}
    assert not newer


@pytest.mark.parametrize(
    ("word", "option"),
    [
        ("model", "model"), ("soc-version", "soc_version"), ("soc", "soc_version"), ("frame", "framework"),
        ("out", ""), ("", ""), ("calibration_data_file", ""), ("precision_mode", "precision_mode"),
    ],
)  # fmt: skip
def test_an_unambiguous_beginning_is_the_option(word: str, option: str) -> None:
    assert atc_options.find(word) == option


def test_versions_compare_by_their_first_two_numbers() -> None:
    assert atc_options.older("8.1.RC1", "9.0") and not atc_options.older("9.1.0", "9.0")
    assert not atc_options.older("", "9.0") and atc_options.older("8.5.0", "8.10")


def test_hif8_is_for_950_and_bf16_not_for_310p() -> None:
    option = atc_options.options()["precision_mode_v2"]
    assert option.suits("mixed_hif8", "Ascend950PR") and not option.suits("mixed_hif8", "Ascend310B4")
    assert option.suits("mixed_bfloat16", "Ascend310B4") and not option.suits("mixed_bfloat16", "Ascend310P3")
    assert option.suits("fp16", "Ascend310") and option.suits("mixed_hif8", "")
