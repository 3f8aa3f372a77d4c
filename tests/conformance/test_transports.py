"""Every member of the transports room keeps the contract of `core.contracts.Link`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sshd import Sshd

from edgewright import transports
from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError

SPEAKER = "import sys\nfor line in sys.stdin: print(line.strip(), flush=True)"
FAILURE = "import sys; print('out'); print('broken pipe', file=sys.stderr); sys.exit(7)"
ECHO = "import sys; sys.stdout.write(sys.stdin.read())"
SLEEP = "import time; time.sleep(60)"

Open = Callable[[], object]


def _fake(folder: Path) -> tuple[str, str]:
    script = folder / "script.json"
    python = sys.executable
    answers = [
        {"argv": [python, "-c", ECHO], "echo": True},
        {"argv": [python, "-c", FAILURE], "returncode": 7, "stdout": "out\n", "stderr": "broken pipe\n"},
        {"argv": [python, "-c", SLEEP], "seconds": 60},
        {"argv": [python, "-c", SPEAKER, "**"], "echo": True},
    ]
    for answer in answers:  # the patterns must match themselves: brackets are not wild here
        answer["argv"] = [word.replace("[", "[[]") for word in answer["argv"]]  # type: ignore[attr-defined]
    script.write_text(json.dumps({"python": python, "answers": answers}))
    return f"fake://{script}", str(folder / "device")


def _local(folder: Path) -> tuple[str, str]:
    return "local", str(folder / "device")


ADDRESSES = {"local": _local, "fake": _fake}
OVER_SSH = ("ssh", "openssh")


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """One real SSH server for all of them; every test has a root of its own."""
    found = Sshd(tmp_path_factory.mktemp("sshd"))
    yield found
    found.stop()


def test_every_member_is_covered_or_says_where_it_is_tested() -> None:
    assert set(transports.names()) == {*ADDRESSES, *OVER_SSH}
    for name in transports.names():
        member = transports.get(name)
        assert member.name == name and member.schemes
        readme = transports.ROOM.folder / name / "README.md"
        assert readme.is_file(), f"{name} has no README"


@pytest.fixture(params=sorted((*ADDRESSES, *OVER_SSH)))
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], object]:
    member = request.param
    if member in OVER_SSH:
        address, root = request.getfixturevalue("device").reach(member), str(tmp_path / "device")
    else:
        address, root = ADDRESSES[member](tmp_path)

    @asynccontextmanager
    async def link() -> AsyncIterator[Link]:
        found = await transports.get(member).open(address, root=root)
        try:
            yield found
        finally:
            await found.close()

    return link


def test_link_states_its_address_interpreter_root_and_scratch(opened: Open) -> None:
    async def story() -> None:
        async with opened() as link:
            assert link.address and link.python
            assert Path(link.root).is_absolute() and Path(link.scratch).is_absolute()

    asyncio.run(story())


def test_bytes_round_trip_through_a_file(opened: Open, tmp_path: Path) -> None:
    content = bytes(range(256)) * 9000  # over two copy chunks
    source = tmp_path / "weights.bin"
    source.write_bytes(content)

    async def story() -> None:
        async with opened() as link:
            await link.put(source, f"{link.root}/in/weights.bin")
            found = await link.stat(f"{link.root}/in/weights.bin")
            assert found is not None and (found.size, found.is_dir) == (len(content), False)
            await link.get(f"{link.root}/in/weights.bin", tmp_path / "back.bin")

    asyncio.run(story())
    assert (tmp_path / "back.bin").read_bytes() == content


def test_a_folder_arrives_whole_and_hostile_names_stay_names(opened: Open, tmp_path: Path) -> None:
    names = ["plain", "with space", "; touch pwned", "$(touch pwned)", "-rf", "ünï.txt", "a/b/c", "line\nfeed"]
    for name in names:
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)

    async def story() -> None:
        async with opened() as link:
            await link.put(tmp_path / "tree", f"{link.root}/tree")
            found = await link.stat(f"{link.root}/tree")
            assert found is not None and found.is_dir
            await link.get(f"{link.root}/tree", tmp_path / "back")

    asyncio.run(story())
    assert {str(p.relative_to(tmp_path / "back")) for p in (tmp_path / "back").rglob("*") if p.is_file()} == set(names)
    assert all((tmp_path / "back" / name).read_text() == name for name in names)
    assert not list(tmp_path.rglob("pwned"))


def test_a_second_put_replaces_the_first(opened: Open, tmp_path: Path) -> None:
    async def story() -> None:
        async with opened() as link:
            for text in ("first and longer", "second"):
                (tmp_path / "f").write_text(text)
                await link.put(tmp_path / "f", f"{link.root}/f")
            await link.get(f"{link.root}/f", tmp_path / "back")

    asyncio.run(story())
    assert (tmp_path / "back").read_text() == "second"


def test_what_is_not_there_has_no_stat_and_cannot_be_got(opened: Open, tmp_path: Path) -> None:
    async def story() -> None:
        async with opened() as link:
            assert await link.stat(f"{link.root}/nothing") is None
            with pytest.raises(DeviceError):
                await link.get(f"{link.root}/nothing", tmp_path / "back")
            with pytest.raises(DeviceError):
                await link.put(tmp_path / "nothing", f"{link.root}/x")

    asyncio.run(story())
    assert not (tmp_path / "back").exists()


def test_exit_status_stdout_and_stderr_come_back(opened: Open) -> None:
    async def story() -> None:
        async with opened() as link:
            done = await link.run([link.python, "-c", FAILURE])
            assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "broken pipe\n")

    asyncio.run(story())


def test_stdin_reaches_the_program(opened: Open) -> None:
    async def story() -> None:
        async with opened() as link:
            done = await link.run([link.python, "-c", ECHO], stdin="grüße\n" * 20000)
            assert (done.returncode, done.stdout) == (0, "grüße\n" * 20000)

    asyncio.run(story())


def test_a_program_over_its_time_is_a_device_error(opened: Open) -> None:
    async def story() -> None:
        async with opened() as link:
            with pytest.raises(DeviceError, match="did not end"):
                await link.run([link.python, "-c", SLEEP], timeout_s=0.3)

    asyncio.run(story())


def test_a_missing_program_is_a_device_error(opened: Open) -> None:
    async def story() -> None:
        async with opened() as link:
            with pytest.raises(DeviceError):
                await link.run(["no-such-program-here"])
            with pytest.raises(DeviceError):
                await link.start(["no-such-program-here"])

    asyncio.run(story())


def test_a_started_program_answers_line_by_line(opened: Open) -> None:
    async def story() -> None:
        async with opened() as link:
            process = await link.start([link.python, "-c", SPEAKER])
            for line in ("one", '{"do": "stop"}', "dreißig"):
                await process.write_line(line)
                assert await process.read_line(timeout_s=20) == line
            with pytest.raises(DeviceError):
                await process.write_line("two\nlines")
            with pytest.raises(DeviceError):
                await process.read_line(timeout_s=0.2)
            assert await process.stop() == 0

    asyncio.run(story())


def test_close_may_be_called_twice_and_ends_the_link(opened: Open) -> None:
    async def story() -> None:
        async with opened() as link:
            await link.start([link.python, "-c", SPEAKER])
            await link.close()
            await link.close()
            with pytest.raises(DeviceError):
                await link.run([link.python, "-c", ECHO])

    asyncio.run(story())
