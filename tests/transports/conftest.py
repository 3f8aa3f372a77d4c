from __future__ import annotations

from collections.abc import Iterator

import pytest
from sshd import Sshd


@pytest.fixture(scope="session")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """One real SSH server for the tests that leave it as it was."""
    found = Sshd(tmp_path_factory.mktemp("sshd"))
    yield found
    found.stop()


@pytest.fixture(params=["ssh", "openssh"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def usual() -> str:
    """Where both members run the very same code, one is enough."""
    return "ssh"


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No pin and no key of the person who runs the tests."""
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path_factory.mktemp("store")))
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
