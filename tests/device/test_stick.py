"""A release in one file: installed by a bare Python in an empty folder, with no host and no network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from board import Bakery, health

from edgewright.core.errors import InputError
from edgewright.device import trust
from edgewright.device.release import Layout
from edgewright.pipeline import signing
from edgewright.pipeline.bundle import Bundle, read_bundle
from edgewright.pipeline.release_key import load_key
from edgewright.pipeline.save import save


@pytest.fixture(scope="module")
def bakery(tmp_path_factory: pytest.TempPathFactory) -> Bakery:
    return Bakery(tmp_path_factory.mktemp("bakery"))


@pytest.fixture
def bundle(bakery: Bakery, tmp_path: Path) -> Bundle:
    shutil.copytree(bakery.bundle().path, tmp_path / "bundle")
    return read_bundle(tmp_path / "bundle")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    found = tmp_path / "device"
    yield found
    for tools in found.glob("tools/*"):
        argv = [sys.executable, "-m", "edgewright.device.install", str(found), "stop"]
        subprocess.run(argv, input=b"{}", env={**os.environ, "PYTHONPATH": str(tools)}, capture_output=True)


def run(archive: Path, *words: str | Path) -> tuple[int, Any]:
    """Runs the archive as its own program, out of another folder, with a proxy that is not there."""
    environment = {"PATH": "/usr/bin:/bin", "http_proxy": "http://127.0.0.1:9", "HOME": "/nonexistent"}
    argv = [sys.executable, str(archive), "--json", *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, cwd="/", timeout=120)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def test_it_installs_itself_and_serves_after_the_stick_is_gone(bundle: Bundle, root: Path, tmp_path: Path) -> None:
    saved = save(bundle, tmp_path / "release.pyz")
    assert saved.digest == bundle.digest and saved.size > bundle.size
    code, planned = run(saved.path, "--root", root, "--dry-run")
    assert (code, planned["files"]) == (0, len(set(bundle.sizes))) and not (root / "current").exists()
    code, answer = run(saved.path, "--root", root)
    assert code == 0 and answer["digest"] == bundle.digest, answer
    saved.path.unlink()
    assert health(answer["url"])["release"] == bundle.digest


def test_the_same_bundle_gives_the_same_file(bundle: Bundle, tmp_path: Path) -> None:
    one, two = save(bundle, tmp_path / "one.pyz"), save(bundle, tmp_path / "two.pyz")
    assert one.path.read_bytes() == two.path.read_bytes()
    assert not list(tmp_path.glob(".saving-*"))
    with pytest.raises(InputError, match="cannot be written"):
        save(bundle, tmp_path / "one.pyz" / "inside")


def test_the_device_s_signers_count_for_it_too(bundle: Bundle, root: Path, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    public = " ".join((tmp_path / "key.pub").read_text().split()[:2])
    layout = Layout(str(root))
    layout.make()
    trust.enrol(layout, f"me@x {public}\n")
    code, answer = run(save(bundle, tmp_path / "a.pyz").path, "--root", root)
    assert code == 3 and "not signed" in answer["error"]["message"]
    signing.sign(bundle, load_key(tmp_path / "key"), number=3)
    code, answer = run(save(bundle, tmp_path / "b.pyz").path, "--root", root, "--dry-run")
    assert code == 0, answer
    assert not list((root / "incoming").iterdir()) and not list((root / "releases").iterdir())


def test_a_device_that_does_not_fit_is_told_before_anything_is_copied(
    bundle: Bundle, root: Path, tmp_path: Path
) -> None:
    unfit = replace(bundle, needs=replace(bundle.needs, soc_version="Ascend310B4"))
    code, answer = run(save(unfit, tmp_path / "a.pyz").path, "--root", root)
    assert code == 3 and "compiled for Ascend310B4" in answer["error"]["message"] and answer["error"]["remedy"]
    assert not (root / "incoming").exists()


def test_a_damaged_archive_changes_nothing(bundle: Bundle, root: Path, tmp_path: Path) -> None:
    archive = save(bundle, tmp_path / "a.pyz").path
    with zipfile.ZipFile(archive) as opened:
        member = opened.getinfo(f"blobs/{bundle.files['app/task.py']}")
    data = bytearray(archive.read_bytes())
    data[member.header_offset + 30 + len(member.filename) + 200] ^= 1
    archive.write_bytes(bytes(data))
    code, answer = run(archive, "--root", root)
    assert code == 3 and "error" in answer
    assert not (root / "current").exists() and not list((root / "releases").iterdir())


def test_wrong_words_are_told_and_end_with_2(bundle: Bundle, tmp_path: Path) -> None:
    code, said = run(save(bundle, tmp_path / "a.pyz").path)
    assert code == 2 and "--root" in said
    code, answer = run(tmp_path / "a.pyz", "--root", tmp_path / "device", "--source", "/no/such/folder")
    assert code == 3 and "/no/such/folder" in answer["error"]["message"]
