from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.core.errors import ConfigError
from edgewright.transports.address import Address, parse, rate


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ssh://board", Address("ssh", "board")),
        ("ssh://Pi@Board-3.lan:2222/", Address("ssh", "Board-3.lan", "Pi", 2222)),
        ("openssh://me@[fe80::1%eth0]:22", Address("openssh", "fe80::1%eth0", "me", 22)),
        ("ssh://[::1]", Address("ssh", "::1")),
        ("ssh://b?identity=/a/b&bandwidth=2M", Address("ssh", "b", options={"identity": "/a/b", "bandwidth": "2M"})),
    ],
)
def test_an_address_is_read(text: str, found: Address) -> None:
    assert parse(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "ssh://", "ssh://-oProxyCommand=x", "ssh://-l@board", "ssh://a b", "ssh://board:99999", "ssh://board:x",
        "ssh://me:secret@board", "ssh://board/root", "ssh://board#x", "ssh://board?nothing=1", "ssh://board?identity=",
        "ssh://board?bandwidth=fast", "ssh://board?jump=-x", "ssh://board?python=a%00b", "ssh://`id`",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text)


def test_a_password_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as told:
        parse("ssh://me:secret@board")
    assert "secret" not in str(told.value) and "enroll" in told.value.remedy


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_a_configuration_error(text: str) -> None:
    try:
        found = parse("ssh://" + text)
    except ConfigError:
        return
    assert not found.host.startswith("-") and not found.user.startswith("-")
    assert parse(str(found)) == Address("ssh", found.host, found.user, found.port)


def test_rates_have_units() -> None:
    assert (rate(""), rate("500"), rate("1.5k"), rate("2M")) == (0, 500, 1500, 2e6)
    with pytest.raises(ConfigError):
        rate("0")
