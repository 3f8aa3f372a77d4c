"""How our programs come to a device: in one archive, whole or not at all."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from edgewright.core.contracts import Completed, Link
from edgewright.core.errors import DeviceError
from edgewright.pipeline.device_program import _bring, archive, operate, programs
from edgewright.transports.local import MEMBER


class Noting:
    """A link that notes what is put, and may change it on the way."""

    def __init__(self, link: Link, damage: bool = False) -> None:
        self._link, self._damage, self.put_there = link, damage, list[str]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    async def put(self, local: Path, remote: str) -> None:
        self.put_there.append(remote)
        await self._link.put(local, remote)
        if self._damage:
            Path(remote).write_bytes(Path(remote).read_bytes()[:-100])


async def _opened(folder: Path, damage: bool = False) -> Noting:
    return Noting(await MEMBER.open("local", root=str(folder / "device")), damage)


def _files(folder: str) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}


def test_they_are_sent_once_in_one_file(tmp_path: Path) -> None:
    async def go() -> tuple[str, list[str]]:
        link: Any = await _opened(tmp_path)
        folder = await _bring(link)
        assert await _bring(link) == folder
        assert (await operate(link, "status", {}))["running"] is False
        return folder, link.put_there

    folder, sent = asyncio.run(go())
    assert len(sent) == 1 and sent[0].startswith(folder) and not Path(sent[0]).exists()
    names = {f"edgewright/device/{path.name}" for path in programs()[1][1:]}
    assert _files(folder) - {"complete"} >= names | {"edgewright/__init__.py"}


def test_a_folder_that_was_left_half_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "device" / "tools" / programs()[0]
    (folder / "edgewright").mkdir(parents=True)
    (folder / "edgewright" / "stale.py").touch()

    async def go() -> str:
        link: Any = await _opened(tmp_path)
        return await _bring(link)

    assert asyncio.run(go()) == str(folder)
    assert "edgewright/stale.py" not in _files(str(folder)) and (folder / "complete").is_file()


def test_two_hosts_may_bring_them_at_once(tmp_path: Path) -> None:
    async def go() -> set[str]:
        links: list[Any] = [await _opened(tmp_path) for _ in range(4)]
        return set(await asyncio.gather(*(_bring(link) for link in links)))

    (folder,) = asyncio.run(go())
    assert (Path(folder) / "complete").is_file()


def test_an_archive_that_was_damaged_is_not_unpacked(tmp_path: Path) -> None:
    async def go() -> None:
        link: Any = await _opened(tmp_path, damage=True)
        await _bring(link)

    with pytest.raises(DeviceError, match="the archive arrived damaged"):
        asyncio.run(go())
    assert not list((tmp_path / "device" / "tools").iterdir())


def test_the_same_programs_make_the_same_archive() -> None:
    first = archive()
    archive.cache_clear()
    assert archive() == first


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("", "without an answer"),
        ("Traceback", "without an answer"),
        ("[]", "strange"),
        ("7", "strange"),
        ("[" * 100_000, "strange"),
        ('{"error": "no"}', "strange"),
        ('{"error": [1]}', "strange"),
        ('{"reason": "\\ud800"}', "strange"),
        (json.dumps({"reason": "x" * (5 << 20)}), "strange"),
    ],
)
def test_an_answer_that_is_none_is_told(tmp_path: Path, said: str, why: str) -> None:
    class Saying(Noting):
        async def run(self, argv: list[str], **how: Any) -> Completed:
            return Completed(0, said, "") if argv[-1] == "status" else await self._link.run(argv, **how)

    async def go() -> None:
        link: Any = Saying(await MEMBER.open("local", root=str(tmp_path / "device")))
        await operate(link, "status", {})

    with pytest.raises(DeviceError, match=why) as caught:
        asyncio.run(go())
    assert len(str(caught.value)) < 1000
