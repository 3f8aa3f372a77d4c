"""The store survives kills, damage and full disks; digests follow contents."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgewright.core.errors import DeviceError
from edgewright.core.record import Record
from edgewright.store.cache import Store, code_version


@dataclass(frozen=True)
class Note(Record):
    text: str
    count: int


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("stage", "k" * 64, Note("héllo", 3))
    assert store.get("stage", "k" * 64, Note) == Note("héllo", 3)


def test_a_damaged_record_counts_as_absent(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("stage", "key", Note("x", 1))
    path = next(tmp_path.rglob("key.json"))
    for text in ("", "{", '{"text": 1}', '{"text": "x", "count": "y"}', "[]"):
        path.write_text(text)
        assert store.get("stage", "key", Note) is None


def test_a_folder_exists_only_when_it_is_whole(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(RuntimeError), store.making("build", "key") as folder:
        (folder / "half").write_text("x")
        raise RuntimeError("cut off")
    assert not store.folder("build", "key").exists()
    assert list(store.folder("build", "key").parent.iterdir()) == []


def test_a_killed_writer_leaves_the_old_record(tmp_path: Path) -> None:
    program = """
        import sys; from pathlib import Path
        from edgewright.store.cache import Store
        store = Store(Path(sys.argv[1])); n = 0
        print("go", flush=True)
        while True:
            n += 1
            store.write(Path(sys.argv[1]) / "file", f"{n:08d}" * 4096)
    """
    for _ in range(5):
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        child.stdout.readline()
        while not (tmp_path / "file").exists():
            pass
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        text = (tmp_path / "file").read_text()
        assert text == text[:8] * 4096


def test_digests_follow_the_contents_not_the_name(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"same")
    b.write_bytes(b"same")
    assert store.file_digest(a) == store.file_digest(b)
    a.write_bytes(b"other")
    assert store.file_digest(a) != store.file_digest(b)


def test_a_full_disk_is_a_sentence_with_a_remedy(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    store = Store(tmp_path)
    with pytest.raises(DeviceError, match="is full"), store.making("build", "key") as folder:
        with full.open("w") as stream:
            stream.write("x" * 100_000)
        (folder / "never").touch()


def test_the_code_version_covers_only_the_named_rooms() -> None:
    assert code_version("graph") != code_version("device")
    assert code_version("graph") == code_version("graph")
