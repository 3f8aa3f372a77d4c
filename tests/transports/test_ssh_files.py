"""Files over real SSH: what arrives is whole, whatever the network and the disk do."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from proxy import Proxy
from sshd import Sshd

from edgewright import transports
from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError
from edgewright.transports import lines, remote_link, sftp, transfer
from edgewright.transports.openssh import config
from edgewright.transports.ssh import settings

MIB = 1 << 20


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_link, "PAUSES_S", (0.05,) * 5)


async def _open(device: Sshd, scheme: str, root: Path, port: int = 0, **options: str) -> Link:
    return await transports.get(scheme).open(device.reach(scheme, port, **options), root=str(root))


def _file(folder: Path, size: int, seed: int = 0) -> Path:
    path = folder / "weights.bin"
    path.write_bytes(hashlib.shake_256(str(seed).encode()).digest(size))
    return path


def _parts(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(".part-")]


@pytest.mark.parametrize("cuts", [[100_000], [5 * MIB + 7, 2 * MIB], [MIB] * 6], ids=str)
def test_an_upload_that_is_cut_goes_on_where_it_stopped(
    device: Sshd, usual: str, tmp_path: Path, cuts: list[int]
) -> None:
    source = _file(tmp_path, 8 * MIB)

    async def story() -> None:
        with Proxy(device.port) as proxy:
            device.trust(proxy.port)
            link = await _open(device, usual, tmp_path / "root", proxy.port)
            proxy.up, proxy.cut_after = 0, list(cuts)
            await link.put(source, "in/weights.bin")
            assert proxy.cuts == len(cuts)
            assert proxy.up < 8 * MIB + 200_000  # since the last cut: nothing was sent from its beginning again
            await link.close()

    asyncio.run(story())
    assert (tmp_path / "root/in/weights.bin").read_bytes() == source.read_bytes()
    assert not _parts(tmp_path / "root")


def test_an_upload_of_a_host_that_died_is_resumed_by_the_next(
    device: Sshd, scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _file(tmp_path, 8 * MIB)
    monkeypatch.setattr(remote_link, "PAUSES_S", ())

    async def story() -> None:
        with Proxy(device.port) as proxy:
            device.trust(proxy.port)
            link = await _open(device, scheme, tmp_path / "root", proxy.port)
            proxy.up, proxy.cut_after = 0, [5 * MIB]
            with pytest.raises(DeviceError, match="could not be put"):
                await link.put(source, "weights.bin")
            await link.close()
            (part,) = _parts(tmp_path / "root")
            assert 2 * MIB < part.stat().st_size < 6 * MIB and not (tmp_path / "root/weights.bin").exists()
            again = await _open(device, scheme, tmp_path / "root", proxy.port)
            proxy.up = 0
            await again.put(source, "weights.bin")
            assert proxy.up < 7 * MIB
            await again.close()

    asyncio.run(story())
    assert (tmp_path / "root/weights.bin").read_bytes() == source.read_bytes()


def test_a_part_with_foreign_bytes_is_not_believed(device: Sshd, usual: str, tmp_path: Path) -> None:
    """As a power cut leaves it: the right length, and zeros where data should be."""
    source = _file(tmp_path, 2 * MIB)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    part = Path(os.fsdecode(transfer.part_of(os.fsencode(tmp_path / "root/weights.bin"), digest)))
    part.parent.mkdir()

    async def story() -> None:
        link = await _open(device, usual, tmp_path / "root")
        for content in (b"\0" * MIB, b"\0" * 2 * MIB, b"\0" * 3 * MIB, b""):
            part.write_bytes(content)
            (tmp_path / "root/weights.bin").unlink(missing_ok=True)
            await link.put(source, "weights.bin")
            assert (tmp_path / "root/weights.bin").read_bytes() == source.read_bytes()
            assert not part.exists()
        part.symlink_to(tmp_path / "victim")
        (tmp_path / "victim").write_text("mine")
        (tmp_path / "root/weights.bin").unlink()
        await link.put(source, "weights.bin")
        await link.close()

    asyncio.run(story())
    assert (tmp_path / "victim").read_text() == "mine"


def test_a_download_that_is_cut_goes_on_where_it_stopped(device: Sshd, usual: str, tmp_path: Path) -> None:
    source = _file(tmp_path, 8 * MIB)

    async def story() -> None:
        with Proxy(device.port) as proxy:
            device.trust(proxy.port)
            link = await _open(device, usual, tmp_path, proxy.port)
            job = asyncio.create_task(link.get("weights.bin", tmp_path / "back/weights.bin"))
            while not (parts := _parts(tmp_path)) or parts[0].stat().st_size < MIB:
                await asyncio.sleep(0)
                if job.done():
                    break
            proxy.cut()
            await job
            await link.close()

    asyncio.run(story())
    assert (tmp_path / "back/weights.bin").read_bytes() == source.read_bytes()
    assert not _parts(tmp_path)


def test_a_changed_byte_on_the_way_is_met_by_sending_again(
    device: Sshd, usual: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "KEEPALIVE_S", 1)  # a changed length leaves both sides waiting until somebody speaks
    source = _file(tmp_path, 4 * MIB)

    async def story() -> None:
        with Proxy(device.port) as proxy:
            device.trust(proxy.port)
            link = await _open(device, usual, tmp_path / "root", proxy.port)
            proxy.up, proxy.corrupt_after = 0, 2 * MIB
            await link.put(source, "weights.bin")
            assert proxy.corrupt_after is None and proxy.connections > 1
            await link.close()

    asyncio.run(story())
    assert (tmp_path / "root/weights.bin").read_bytes() == source.read_bytes()


@pytest.mark.parametrize(("scheme", "fault"), [("ssh", "black_hole"), ("openssh", "stalled")])
def test_a_transfer_that_goes_nowhere_ends_and_says_so(
    device: Sshd, scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    source = _file(tmp_path, 8 * MIB)
    monkeypatch.setattr(sftp, "TIMEOUT_S", 0.7)
    monkeypatch.setattr(lines, "OPEN_S", 0.7)
    monkeypatch.setattr(lines, "PAUSES_S", (0.05,))
    monkeypatch.setattr(remote_link, "PAUSES_S", (0.05,))
    for name in ("CONNECT_S", "LOGIN_S"):
        monkeypatch.setattr(settings, name, 1)
    monkeypatch.setattr(config, "CONNECT_S", 1)

    async def story() -> None:
        with Proxy(device.port) as proxy:
            device.trust(proxy.port)
            link = await _open(device, scheme, tmp_path / "root", proxy.port)
            proxy.up = 0
            job = asyncio.create_task(link.put(source, "weights.bin"))
            while proxy.up < MIB:
                await asyncio.sleep(0.001)
            setattr(proxy, fault, True)
            with pytest.raises(DeviceError, match="cannot be reached"):
                await asyncio.wait_for(job, 60)
            proxy.black_hole = proxy.stalled = False
            proxy.cut()
            await link.put(source, "weights.bin")
            await link.close()

    asyncio.run(story())
    assert (tmp_path / "root/weights.bin").read_bytes() == source.read_bytes()


def test_a_server_that_was_killed_is_found_again(tmp_path: Path, scheme: str) -> None:
    device = Sshd(tmp_path / "device")
    source = _file(tmp_path, MIB)

    async def story() -> None:
        link = await _open(device, scheme, tmp_path / "root")
        await link.put(source, "first.bin")
        device.kill()
        with pytest.raises(DeviceError):
            await link.put(source, "second.bin")
        device.start()
        await link.put(source, "second.bin")
        await link.close()

    try:
        asyncio.run(story())
    finally:
        device.stop()
    assert (tmp_path / "root/second.bin").read_bytes() == source.read_bytes()


def test_what_is_there_already_is_not_sent_again(device: Sshd, usual: str, tmp_path: Path) -> None:
    source = _file(tmp_path, 2 * MIB)

    async def story() -> None:
        with Proxy(device.port) as proxy:
            device.trust(proxy.port)
            link = await _open(device, usual, tmp_path / "root", proxy.port)
            await link.put(source, "weights.bin")
            before = (tmp_path / "root/weights.bin").stat().st_ino
            proxy.up = 0
            await link.put(source, "weights.bin")
            assert proxy.up < 100_000
            assert (tmp_path / "root/weights.bin").stat().st_ino == before
            changed = _file(tmp_path, 2 * MIB, seed=1)
            await link.put(changed, "weights.bin")
            await link.close()

    asyncio.run(story())
    assert (tmp_path / "root/weights.bin").read_bytes() == source.read_bytes()


def test_executables_stay_executable_and_links_are_their_content(device: Sshd, scheme: str, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin/run").write_text("#!/bin/sh\n")
    (tree / "bin/run").chmod(0o755)
    (tree / "secret").write_text("x")
    (tree / "secret").chmod(0o600)
    (tree / "link").symlink_to("secret")
    (tree / "empty").mkdir()

    async def story() -> None:
        link = await _open(device, scheme, tmp_path / "root")
        await link.put(tree, "tree")
        (tmp_path / "root/tree/out").symlink_to(tmp_path / "tree/bin/run")
        await link.get("tree", tmp_path / "back")
        os.mkfifo(tree / "pipe")
        with pytest.raises(DeviceError, match="neither a file nor a folder"):
            await link.put(tree, "tree")
        with pytest.raises(DeviceError, match="is a folder"):
            await link.put(tree / "secret", "tree/bin")
        with pytest.raises(DeviceError):
            await link.put(tree / "secret", "tree/secret/below")
        assert await link.stat("tree/secret/below") is None
        await link.close()

    asyncio.run(story())
    for place in (tmp_path / "root/tree", tmp_path / "back"):
        assert stat.S_IMODE((place / "bin/run").stat().st_mode) == 0o755
        assert stat.S_IMODE((place / "secret").stat().st_mode) == 0o600
        assert (place / "link").read_text() == "x" and not (place / "link").is_symlink()
        assert (place / "empty").is_dir()
    assert (tmp_path / "back/out").read_text() == "#!/bin/sh\n" and not (tmp_path / "back/out").is_symlink()


def test_a_null_byte_in_a_name_is_a_device_error(device: Sshd, usual: str, tmp_path: Path) -> None:
    async def story() -> None:
        link = await _open(device, usual, tmp_path / "root")
        (tmp_path / "a").write_text("x")
        for attempt in (link.put(tmp_path / "a", "bad\0name"), link.stat("bad\0name"), link.run(["ls", "a\0b"])):
            with pytest.raises(DeviceError):
                await attempt
        await link.close()

    asyncio.run(story())


def test_a_bandwidth_is_kept(device: Sshd, usual: str, tmp_path: Path) -> None:
    source = _file(tmp_path, 600_000)

    async def story() -> float:
        link = await _open(device, usual, tmp_path / "root", bandwidth="400k")
        await link.stat("x")
        start = time.monotonic()
        await link.put(source, "weights.bin")
        taken = time.monotonic() - start
        await link.close()
        return taken

    assert asyncio.run(story()) > 1.0  # 600 kB at 400 kB/s, less the quarter of a second that may come at once


def test_two_links_may_send_the_same_file_at_once(device: Sshd, usual: str, tmp_path: Path) -> None:
    source = _file(tmp_path, 3 * MIB)

    async def story() -> None:
        links = [await _open(device, usual, tmp_path / "root") for _ in range(2)]
        await asyncio.gather(*(link.put(source, "weights.bin") for link in links))
        for name in ("a", "b", "c", "d"):
            (tmp_path / "twins" / name).parent.mkdir(exist_ok=True)
            (tmp_path / "twins" / name).write_bytes(source.read_bytes())
        await links[0].put(tmp_path / "twins", "twins")
        assert {(tmp_path / "root/twins" / n).read_bytes() for n in "abcd"} == {source.read_bytes()}
        for link in links:
            await link.close()

    asyncio.run(story())
    assert (tmp_path / "root/weights.bin").read_bytes() == source.read_bytes()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"elsewhere: a small tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_device_without_space_is_told_before_a_byte_is_sent(
    device: Sshd, usual: str, tmp_path: Path, small_disk: Path
) -> None:
    source = _file(tmp_path, 12 * MIB)

    async def story() -> None:
        link = await _open(device, usual, small_disk)
        with pytest.raises(DeviceError, match="16 MiB of disk free, and 20 are needed"):
            await link.put(source, "weights.bin")
        await link.close()

    asyncio.run(story())
    assert not list(small_disk.iterdir())


def test_a_disk_that_becomes_full_is_told_and_nothing_is_left(
    device: Sshd, usual: str, tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "RESERVE", -64 * MIB)  # as if somebody else filled it meanwhile
    source = _file(tmp_path, 20 * MIB)

    async def story() -> None:
        link = await _open(device, usual, small_disk)
        (tmp_path / "old").write_text("old")
        await link.put(tmp_path / "old", "weights.bin")
        with pytest.raises(DeviceError, match="became full"):
            await link.put(source, "weights.bin")
        await link.close()

    asyncio.run(story())
    assert (small_disk / "weights.bin").read_text() == "old"
    assert not _parts(small_disk)
