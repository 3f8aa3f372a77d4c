"""Hostile files: any bytes as .om or configuration are read or refused with a reason, never anything else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SOURCE = Path(__file__).resolve().parent.parent.parent / "cannsim/python"


@pytest.fixture(scope="module", autouse=True)
def importable():
    sys.path.insert(0, str(SOURCE))
    yield
    sys.path.remove(str(SOURCE))


words = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"))


@given(lines=st.lists(st.tuples(st.sampled_from(["soc", "input", "op"]), words)), network=st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_om_gives_back_what_was_written(tmp_path, lines, network):
    from cannsim_tools.om import Manifest, read_om, write_om

    write_om(tmp_path / "m.om", Manifest(list(lines)), network)
    manifest, back = read_om(tmp_path / "m.om")
    assert manifest.lines == lines
    assert back == network


@given(at=st.integers(0, 10**6), bit=st.integers(0, 7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_bit_is_noticed(tmp_path, at, bit):
    from cannsim_tools.om import Manifest, OmError, read_om, write_om

    path = tmp_path / "m.om"
    write_om(path, Manifest([("soc", "Ascend310B4")]), b"network")
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= 1 << bit
    path.write_bytes(data)
    with pytest.raises(OmError):
        read_om(path)


@given(st.binary(max_size=400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arbitrary_bytes_are_no_om(tmp_path, data):
    from cannsim_tools.om import OmError, read_om

    (tmp_path / "m.om").write_bytes(data)
    with pytest.raises(OmError):
        read_om(tmp_path / "m.om")


@given(st.text(alphabet="aipp_{}<>:;,[]\"' \n#01.", max_size=200))
def test_any_text_is_parsed_or_refused(text):
    from cannsim_tools.prototxt import ProtoTextError, parse

    try:
        parse(text)
    except ProtoTextError as problem:
        assert str(problem)


def test_a_configuration_is_read_with_its_nesting_and_types():
    from cannsim_tools.prototxt import parse

    block = parse('a: 1 # why\nb { c: true; d: "x:y" d: [1.5, -2] } e <f: WORD>')
    assert block == {"a": [1], "b": [{"c": [True], "d": ["x:y", 1.5, -2]}], "e": [{"f": ["WORD"]}]}


@given(st.text(alphabet="x:1,3-~; ", max_size=40))
def test_any_input_shape_is_parsed_or_refused_with_a_code(text):
    from cannsim_tools.atc.shapes import parse_input_shape
    from cannsim_tools.vendor_error import VendorError

    try:
        shapes = parse_input_shape(text)
    except VendorError as error:
        assert error.code in {"E10002", "E10011", "E10055"}
    else:
        assert all(dim == -1 or dim > 0 for dims in shapes.values() for dim in dims)


def test_the_stand_in_imports_nothing_of_edgewright():
    for path in [*SOURCE.rglob("*.py"), *(SOURCE.parent / "stub").rglob("*.py")]:
        assert "edgewright" not in path.read_text(), path
