"""What has rotted in a release is found, and mended where a whole blob is there."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from edgewright.device import durable, whole
from edgewright.device.release import ARTIFACT_TYPE, CODE, CONFIG_TYPE, FILEPATH, Layout

FILES = {"app/task.py": b"def open(): ...\n", "model/model.bin": b"\x00\x01" * 500}


def laid_out(layout: Layout, number: int, files: dict[str, bytes]) -> str:
    """A release as the installer leaves it: its files are links to blobs."""
    layers = []
    for path, data in files.items():
        digest = blob(layout, data)
        layers.append(
            {"mediaType": CODE, "digest": f"sha256:{digest}", "size": len(data), "annotations": {FILEPATH: path}}
        )
    config = {"mediaType": CONFIG_TYPE, "digest": f"sha256:{blob(layout, b'{}')}", "size": 2}
    manifest = {"schemaVersion": 2, "artifactType": ARTIFACT_TYPE, "config": config, "layers": layers, "number": number}
    digest = blob(layout, json.dumps(manifest).encode())
    name = f"{number}-{digest[:12]}"
    for path, data in files.items():
        (Path(layout.folder(name)) / path).parent.mkdir(parents=True, exist_ok=True)
        os.link(layout.blob(hashlib.sha256(data).hexdigest()), Path(layout.folder(name)) / path)
    durable.write_json(str(Path(layout.folder(name)) / "release.json"), {"number": number, "digest": digest})
    return name


def blob(layout: Layout, data: bytes) -> str:
    digest = hashlib.sha256(data).hexdigest()
    path = Path(layout.blob(digest))
    if not path.exists():
        path.write_bytes(data)
    return digest


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(str(tmp_path / "device"))
    found.make()
    return found


@pytest.fixture
def pair(layout: Layout) -> tuple[str, str]:
    """The releases that `current` and `previous` name; they share a file."""
    names = laid_out(layout, 2, {**FILES, "model/model.bin": b"new"}), laid_out(layout, 1, FILES)
    layout.point(layout.current, names[0])
    layout.point(layout.previous, names[1])
    return names


def rot(path: str | Path) -> None:
    data = Path(path).read_bytes()
    with Path(path).open("r+b") as file:
        file.write(bytes([data[0] ^ 1]))


def test_every_kind_of_damage_is_named(layout: Layout, pair: tuple[str, str]) -> None:
    name = pair[1]
    folder = Path(layout.folder(name))
    assert whole.damaged(layout, name) == []
    rot(folder / "model/model.bin")
    (folder / "app/task.py").unlink()
    assert whole.damaged(layout, name) == ["app/task.py", "model/model.bin"]
    rot(layout.blob((layout.describe(name) or {})["digest"]))
    assert whole.damaged(layout, name) == [whole.MANIFEST]
    rot(folder / "release.json")
    assert whole.damaged(layout, name) == ["release.json"]
    assert whole.damaged(layout, "9-" + "9" * 12) == ["release.json"]


def test_a_file_is_mended_wherever_it_is_shared_once_its_blob_is_whole(layout: Layout, pair: tuple[str, str]) -> None:
    shared = layout.blob(hashlib.sha256(FILES["app/task.py"]).hexdigest())
    rot(shared)
    assert [whole.damaged(layout, name) for name in pair] == [["app/task.py"]] * 2
    assert whole.mend(layout) == [], "a blob that has rotted with it mends nothing"
    Path(shared).unlink()
    assert whole.mend(layout) == []
    blob(layout, FILES["app/task.py"])
    assert sorted(whole.mend(layout)) == sorted(f"{name}/app/task.py" for name in pair)
    assert [whole.damaged(layout, name) for name in pair] == [[], []]
    assert whole.mend(layout) == []
    assert not list(Path(layout.releases).glob(".*"))


def test_it_is_mended_by_a_copy_where_there_are_no_hard_links(
    layout: Layout, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(layout.folder(pair[1])) / "model/model.bin"
    path.unlink()
    path.write_bytes(b"rot")

    def refused(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refused)
    assert whole.mend(layout) == [f"{pair[1]}/model/model.bin"]
    assert whole.damaged(layout, pair[1]) == []


@pytest.mark.parametrize(("count", "said"), [(1, "a"), (3, "a, b, c"), (5, "a, b, c and 2 more")])
def test_a_long_list_is_cut(count: int, said: str) -> None:
    assert whole.listed(["a", "b", "c", "d", "e"][:count]) == said
