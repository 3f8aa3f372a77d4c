"""Two operators, one device."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.device import install, lease, processes
from edgewright.device.release import Layout, ReleaseError
from edgewright.pipeline.device_program import Leased
from edgewright.pipeline.lease import given_back, held, ours
from edgewright.transports.local import MEMBER

ANNA = {"owner": "anna@desk", "token": "a", "host": "desk", "process": None}
BEN = {"owner": "ben@laptop", "token": "b", "host": "laptop", "process": None}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(str(tmp_path / "device"))
    found.make()
    return found


def test_the_second_operator_is_told_who_the_first_is(layout: Layout) -> None:
    lease.hold(layout, ANNA)
    with pytest.raises(lease.Leased, match="anna@desk is at work"):
        lease.hold(layout, BEN)
    with pytest.raises(lease.Leased):
        lease.hold(layout, None)
    lease.hold(layout, ANNA)
    lease.end(layout, BEN)
    assert (lease.holder(layout) or {})["owner"] == "anna@desk", "nobody gives back what is not theirs"
    lease.end(layout, ANNA)
    lease.hold(layout, BEN)


def test_a_lease_is_broken_on_request_and_its_owner_hears_of_it(layout: Layout) -> None:
    lease.hold(layout, ANNA)
    lease.hold(layout, {**BEN, "take_over": True})
    with pytest.raises(lease.Leased, match="ben@laptop"):
        lease.hold(layout, ANNA)


def test_a_lease_runs_out_and_does_not_outlast_a_reboot(layout: Layout) -> None:
    lease.hold(layout, {**ANNA, "for_s": 1})
    path = Path(layout.root, "lease.json")
    kept = json.loads(path.read_text())
    deadline = time.monotonic() + 10
    while lease.holder(layout):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for change in ({"boot": "another"}, {"taken": time.monotonic() + 50, "until": time.monotonic() + 60}):
        path.write_text(json.dumps({**kept, "until": time.monotonic() + 60, **change}))
        assert lease.holder(layout) is None
    path.write_text(json.dumps({**kept, "taken": time.monotonic(), "until": time.monotonic() + 1e9}))
    assert lease.holder(layout) is None, "no lease is for ever"


@settings(max_examples=60, deadline=None)
@given(wish=st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.dictionaries(st.text(), x)))
def test_what_makes_no_sense_is_refused(tmp_path_factory: pytest.TempPathFactory, wish: Any) -> None:
    layout = Layout(str(tmp_path_factory.getbasetemp() / "nonsense"))
    layout.make()
    if wish is None:
        lease.hold(layout, wish)
    else:
        with pytest.raises(ReleaseError, match="makes no sense"):
            lease.hold(layout, wish)


def test_the_installer_keeps_the_second_operator_out_from_the_first_operation_to_the_last(layout: Layout) -> None:
    install.missing(layout, {"sizes": {}, "lease": ANNA})
    for op in (install.missing, install.stop):
        with pytest.raises(lease.Leased, match="anna@desk"):
            op(layout, {"sizes": {}, "lease": BEN})
    assert install.status(layout, {})["operator"] == "anna@desk", "looking is always allowed"
    install.stop(layout, {"lease": ANNA})
    assert install.status(layout, {})["operator"] is None


def test_a_process_of_this_machine_that_ended_leaves_no_lease_behind(layout: Layout) -> None:
    gone = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    theirs = {**ours(), "owner": "cut@here", "token": "other", "process": processes.identity(gone.pid)}
    lease.hold(layout, theirs)

    async def ask(op: str, request: Mapping[str, Any]) -> dict[str, Any]:
        link = await MEMBER.open("local", root=layout.root)
        return await held(link, op, request)

    with pytest.raises(Leased, match="cut@here is at work"):
        asyncio.run(ask("missing", {"sizes": {}}))
    gone.communicate()
    asyncio.run(ask("missing", {"sizes": {}}))
    assert (lease.holder(layout) or {})["process"]["pid"] == os.getpid()

    async def back() -> None:
        await given_back(await MEMBER.open("local", root=layout.root))

    asyncio.run(back())
    assert lease.holder(layout) is None
