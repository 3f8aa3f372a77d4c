"""`edgewright bundle …` as a user has it: what it prints, its one JSON object, its exit codes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from board import Bakery
from oci import docker_registry
from tests.cli.conftest import Edgewright, Said

from edgewright.cli.boundary import guarded
from edgewright.device import trust
from edgewright.device.release import Layout
from edgewright.pipeline import signing
from edgewright.pipeline.bundle import Bundle


@pytest.fixture(scope="module")
def baked(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bakery(tmp_path_factory.mktemp("bakery")).bundle()


@pytest.fixture
def edgewright(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Edgewright:
    """As the fixture of that name, in this process: a start takes longer than most of these words."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path / "home"))

    def run(*words: str | Path) -> Said:
        capfd.readouterr()
        code = guarded([str(word) for word in words])
        out, err = capfd.readouterr()
        return Said(code, out, err)

    return run


@pytest.fixture
def bundle(baked: Bundle, tmp_path: Path) -> Path:
    """A bundle `b` in the test's folder, with a key `key` and a list of signers `allowed`."""
    shutil.copytree(baked.path, tmp_path / "b")
    for ending in (signing.PROVENANCE, ".attestation.json"):
        shutil.copyfile(signing.beside(baked.path, ending), tmp_path / f"b{ending}")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    public = " ".join((tmp_path / "key.pub").read_text().split()[:2])
    (tmp_path / "allowed").write_text(f'me@example.org namespaces="edgewright-release" {public}\n')
    return tmp_path / "b"


def test_a_bundle_is_signed_verified_and_looked_at(edgewright: Edgewright, bundle: Path, baked: Bundle) -> None:
    said = edgewright("bundle", "verify", bundle, "--json")
    assert said.code == 2 and "not signed" in said.json()["error"]["message"]
    signed = edgewright("bundle", "sign", bundle, "--key", "key", "--number", "7", "--days", "30", "--json")
    assert signed.code == 0 and (signed.json()["number"], signed.json()["digest"]) == (7, baked.digest), signed.err
    verified = edgewright("bundle", "verify", bundle, "--signers", "allowed", "--json").json()
    assert verified["by"] == "me@example.org" and verified["provenance"] is True
    inspected = edgewright("bundle", "inspect", bundle, "--json").json()
    assert inspected["digest"] == baked.digest and inspected["signed"]["number"] == 7
    assert inspected["provenance"]["predicateType"] == "https://slsa.dev/provenance/v1"
    assert inspected["attestation"]["subject"] == {"sha256": baked.digest}
    shown = edgewright("bundle", "inspect", bundle)
    assert shown.code == 0 and baked.digest in shown.out and "as number 7" in shown.out and "labels 2" in shown.out
    with (bundle / "index.json").open("a") as index:
        index.write("rot")
    assert edgewright("bundle", "inspect", bundle).code == 2


def test_a_bundle_goes_through_a_registry(edgewright: Edgewright, bundle: Path, baked: Bundle, tmp_path: Path) -> None:
    with docker_registry(tmp_path) as host:
        edgewright("bundle", "sign", bundle, "--key", "key")
        pushed = edgewright("bundle", "push", bundle, f"{host}/team/cars:1", "--json")
        assert pushed.code == 0 and pushed.json()["signed"], pushed.err
        words = ("bundle", "pull", f"{host}/team/cars:1", "-o", "again", "--signers", "allowed", "--json")
        pulled = edgewright(*words)
        assert pulled.code == 0 and pulled.json()["digest"] == baked.digest, pulled.err
        assert "already there" in edgewright(*words).err
        assert edgewright(*words, "--force").code == 0
        missing = edgewright("bundle", "pull", f"{host}/team/cars:2", "-o", "none")
        assert missing.code == 2 and not (tmp_path / "none").exists()


def test_a_bundle_is_published_on_a_channel(
    edgewright: Edgewright, bundle: Path, baked: Bundle, tmp_path: Path
) -> None:
    words = ("bundle", "publish", bundle, "--to", "site", "--channel", "stable", "--keys", "keys")
    first = edgewright(*words, "--json")
    assert first.code == 0 and first.json()["digest"] == baked.digest, first.err
    assert (first.json()["version"], first.json()["root_version"]) == (1, 1)
    said = edgewright(*words, "--rotate-root")
    assert said.code == 0 and "version 2" in said.out and "2.root.json" in said.out, said.err
    (tmp_path / "keys" / "timestamp-1").unlink()
    assert "0 of 1 keys" in edgewright(*words).err
    assert edgewright(*words[:5], "--channel", "../x", "--keys", "keys").code == 2


def test_a_bundle_is_published_in_a_registry(
    edgewright: Edgewright, bundle: Path, baked: Bundle, tmp_path: Path
) -> None:
    with docker_registry(tmp_path) as host:
        words = ("bundle", "publish", bundle, "--channel", "stable", "--keys", "keys", "--to")
        first = edgewright(*words, f"oci://{host}/team/cars", "--json")
        assert first.code == 0 and first.json()["sent_bytes"] > baked.size, first.err
        assert Path(first.json()["root"]).name == "1.root.json"
        again = edgewright(*words, f"oci://{host}/team/cars", "--json")
        assert again.json()["version"] == 2 and again.json()["sent_bytes"] < 50_000, again.err
        assert "tags of its own" in edgewright(*words, f"oci://{host}/team/cars:7").err
        assert edgewright(*words, "oci://127.0.0.1:9/team/cars").code == 3


def test_a_saved_bundle_runs_by_itself(edgewright: Edgewright, bundle: Path, tmp_path: Path) -> None:
    saved = edgewright("bundle", "save", bundle, "-o", "release.pyz", "--json")
    assert saved.code == 0 and saved.json()["size"] == (tmp_path / "release.pyz").stat().st_size
    assert edgewright("bundle", "save", bundle, "-o", "release.pyz").code == 2
    argv = [sys.executable, "release.pyz", "--root", "device", "--dry-run"]
    assert "would install" in subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True).stdout


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    configuration = {"model": "none.onnx", "targets": [{"name": "board", "root": str(tmp_path / "device")}]}
    (tmp_path / "edgewright.yaml").write_text(yaml.safe_dump(configuration))
    yield tmp_path / "edgewright.yaml"


def test_a_device_is_told_whom_to_trust_and_status_says_so(
    edgewright: Edgewright, bundle: Path, project: Path, tmp_path: Path
) -> None:
    before = edgewright("status", project, "--json").json()["devices"][0]["trust"]
    assert before["unsigned_allowed"] and before["signers"] == []
    assert "takes unsigned releases" in edgewright("status", project).out
    told = edgewright("bundle", "trust", project, "--signers", "allowed", "--json")
    assert told.code == 0 and told.json()["devices"][0]["signers"][0]["identity"] == "me@example.org", told.err
    after = edgewright("status", project, "--json").json()["devices"][0]["trust"]
    assert not after["unsigned_allowed"] and after["signers"][0]["fingerprint"].startswith("SHA256:")
    trust.raise_time(Layout(str(tmp_path / "device")), {"time": "2099-01-01T00:00:00Z"})
    edgewright("bundle", "trust", project, "--signers", "allowed")
    assert edgewright("status", project, "--json").json()["devices"][0]["trust"]["floor"]["time"].startswith("2099")
    edgewright("bundle", "trust", project, "--signers", "allowed", "--forget-floor")
    assert edgewright("status", project, "--json").json()["devices"][0]["trust"]["floor"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("inspect", "nothing"), "There is no folder"),
        (("verify", "allowed"), "not a bundle"),
        (("sign", "b", "--key", "nothing"), "nothing cannot be read"),
        (("sign", "b", "--key", "allowed"), "allowed"),
        (("sign", "b", "--key", "key", "--number", "0"), "number"),
        (("sign", "b"), "--key"),
        (("verify", "b", "--signers", "key.pub"), "key.pub"),
        (("push", "b", "cars"), "no place in a registry"),
        (("pull", "h.example/a:1", "-o", "b"), "already there"),
        (("pull", "h.example/a:1", "-o", "new", "--signers", "key"), "no file of allowed signers"),
        (("save", "b", "-o", "b"), "is a folder"),
        (("trust", "edgewright.yaml", "--signers", "key"), "no file of allowed signers"),
        (("unheard-of",), "unheard-of"),
    ],
)
def test_bad_words_end_with_2_and_a_sentence(
    edgewright: Edgewright, bundle: Path, project: Path, words: tuple[str, ...], said: str
) -> None:
    done = edgewright("bundle", *words, "--json")
    assert done.code == 2, done.err
    error = done.json()["error"]
    assert said in error["message"] and error["remedy"] and "Traceback" not in done.err


def test_what_is_not_a_bundle_is_said_plainly(edgewright: Edgewright, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("text")
    for word, message in (
        ("folder", "folder is not a bundle: there is no oci-layout in it."),
        ("file", "file is not a bundle: it is no folder."),
        ("nothing", "There is no folder nothing."),
    ):
        said = edgewright("bundle", "verify", word, "--json")
        assert (said.code, said.json()["error"]["message"]) == (2, message)
