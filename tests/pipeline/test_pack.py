"""A bundle is an OCI layout with a ModelPack manifest; the same inputs seal to the same digest."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.core.config import GoalConfig
from edgewright.core.errors import InputError
from edgewright.core.recipe import Artifact
from edgewright.device.release import ReleaseError, parse_manifest
from edgewright.pipeline.bundle import Bundle, read_bundle
from edgewright.pipeline.golden import Golden
from edgewright.pipeline.pack import needs, pack


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return tiny.artifact(tmp_path / "artifact")


@pytest.fixture
def golden(tmp_path: Path) -> Golden:
    folder = tmp_path / "golden-of"
    (folder / "golden").mkdir(parents=True)
    (folder / "golden" / "golden.json").write_text('{"format": 1, "samples": []}')
    (folder / "reference.json").write_text('{"count": 0, "signals": {}}')
    return Golden(folder, 0, {"python": "3.11.7", "numpy": "2.1.0", "openvino": "2026.4.0-123"}, "x86_64")


def test_the_bundle_is_an_oci_layout_with_one_raw_layer_a_file(
    tmp_path: Path, artifact: Artifact, golden: Golden
) -> None:
    bundle = pack(artifact, tiny.DECISION, golden, tmp_path / "bundle")
    assert json.loads((bundle.path / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((bundle.path / "index.json").read_text())
    assert index["manifests"][0]["digest"] == f"sha256:{bundle.digest}"
    manifest = json.loads(bundle.blob(bundle.digest).read_bytes())
    assert manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    assert manifest["config"]["mediaType"] == "application/vnd.cncf.model.config.v1+json"
    types = {layer["annotations"]["org.cncf.model.filepath"]: layer["mediaType"] for layer in manifest["layers"]}
    assert set(artifact.files) < set(types)
    assert types["app/engine.py"] == "application/vnd.cncf.model.code.v1.raw"
    assert types["service.json"] == "application/vnd.cncf.model.weight.config.v1.raw"
    for layer in manifest["layers"]:
        content = bundle.blob(layer["digest"].removeprefix("sha256:")).read_bytes()
        assert len(content) == layer["size"]
        assert hashlib.sha256(content).hexdigest() == layer["digest"].removeprefix("sha256:")


def test_the_config_has_only_the_keys_of_the_specification(tmp_path: Path, artifact: Artifact, golden: Golden) -> None:
    bundle = pack(artifact, tiny.DECISION, golden, tmp_path / "bundle")
    manifest = json.loads(bundle.blob(bundle.digest).read_bytes())
    config = json.loads(bundle.blob(manifest["config"]["digest"].removeprefix("sha256:")).read_bytes())
    assert set(config) == {"descriptor", "config", "modelfs"}
    assert config["config"]["precision"] == "float32"
    assert config["modelfs"]["diffIds"] == [layer["digest"] for layer in manifest["layers"]]


def test_the_same_inputs_give_the_same_digest_whatever_was_measured(
    tmp_path: Path, artifact: Artifact, golden: Golden
) -> None:
    first = pack(artifact, tiny.DECISION, golden, tmp_path / "one", evidence={"p50": 1.0})
    other = replace(tiny.DECISION, sentences=("tiny-fp32 is chosen for latency: 0.13 ms.",))
    moved = replace(artifact, folder=Path(shutil.copytree(artifact.folder, tmp_path / "elsewhere")), build_seconds=9.0)
    second = pack(moved, other, golden, tmp_path / "two", evidence={"p50": 2.0})
    assert first.digest == second.digest
    beside = json.loads((tmp_path / "two.attestation.json").read_text())
    assert beside["subject"] == {"sha256": second.digest} and beside["evidence"] == {"p50": 2.0}
    assert beside["decision"]["sentences"] == ["tiny-fp32 is chosen for latency: 0.13 ms."]


def test_a_changed_file_or_gate_changes_the_digest(tmp_path: Path, artifact: Artifact, golden: Golden) -> None:
    first = pack(artifact, tiny.DECISION, golden, tmp_path / "one")
    gated = pack(artifact, tiny.DECISION, golden, tmp_path / "two", goal=GoalConfig(latency_p95_ms=5))
    other = pack(tiny.artifact(tmp_path / "other", score=0.4), tiny.DECISION, golden, tmp_path / "three")
    assert len({first.digest, gated.digest, other.digest}) == 3
    assert gated.card("gate.json") == {"latency_p95_ms": 5}


def test_needs_hold_the_runtime_to_the_minor_version_it_was_checked_with(artifact: Artifact, golden: Golden) -> None:
    found = needs(artifact, golden)
    assert found.runtimes == {"openvino": ("2026.4", "2026.5")}
    assert found.machine == "x86_64" and found.memory_bytes > 64 << 20


def test_packing_over_an_old_bundle_replaces_it(tmp_path: Path, artifact: Artifact, golden: Golden) -> None:
    first = pack(artifact, tiny.DECISION, golden, tmp_path / "bundle")
    second = pack(tiny.artifact(tmp_path / "b", score=0.1), tiny.DECISION, golden, tmp_path / "bundle")
    assert read_bundle(tmp_path / "bundle").digest == second.digest != first.digest
    assert not list(tmp_path.glob(".packing-*"))


@pytest.fixture
def bundle(tmp_path: Path, artifact: Artifact, golden: Golden) -> Bundle:
    return pack(artifact, tiny.DECISION, golden, tmp_path / "bundle")


def test_a_changed_cut_or_missing_blob_is_refused_by_name(bundle: Bundle) -> None:
    for damage in ("flip", "cut", "link", "remove"):
        blob = bundle.blob(bundle.files["app/engine.py"])
        content = blob.read_bytes()
        blob.unlink()
        if damage == "flip":
            blob.write_bytes(content[:-1] + b"\x00")
        elif damage == "cut":
            blob.write_bytes(content[:-1])
        elif damage == "link":
            blob.symlink_to("/etc/passwd")
        with pytest.raises(InputError, match=blob.name[:12]):
            read_bundle(bundle.path)
        blob.unlink(missing_ok=True)
        blob.write_bytes(content)
    assert read_bundle(bundle.path).digest == bundle.digest


def test_a_changed_manifest_is_refused(bundle: Bundle) -> None:
    blob = bundle.blob(bundle.digest)
    blob.write_bytes(blob.read_bytes().replace(b"app/task.py", b"app/tosk.py"))
    with pytest.raises(InputError, match="was changed"):
        read_bundle(bundle.path)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("oci-layout", "{}"),
        ("oci-layout", '{"imageLayoutVersion": "2"}'),
        ("index.json", '{"manifests": []}'),
        ("index.json", "[" * 100_000),
        ("index.json", '{"manifests": [{"mediaType": "x"}]}'),
        ("index.json", '{"manifests": [7]}'),
    ],
)
def test_a_folder_of_another_form_is_refused(bundle: Bundle, file: str, text: str) -> None:
    (bundle.path / file).write_text(text)
    with pytest.raises(InputError):
        read_bundle(bundle.path)


def test_an_empty_folder_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a bundle"):
        read_bundle(tmp_path)


def manifest(*layers: dict[str, Any], **changes: Any) -> bytes:
    whole = {
        "schemaVersion": 2,
        "artifactType": "application/vnd.cncf.model.manifest.v1+json",
        "config": {"mediaType": "application/vnd.cncf.model.config.v1+json", "digest": "sha256:" + "0" * 64, "size": 2},
        "layers": list(layers),
        **changes,
    }
    return json.dumps(whole).encode()


def layer(
    path: Any = "model/a", size: Any = 1, digest: Any = "sha256:" + "a" * 64, kind: str = "weight"
) -> dict[str, Any]:
    media_type = f"application/vnd.cncf.model.{kind}.v1.raw"
    return {"mediaType": media_type, "digest": digest, "size": size, "annotations": {"org.cncf.model.filepath": path}}


def test_a_plain_manifest_is_read() -> None:
    found = parse_manifest(manifest(layer(), layer("app/x.py", 7, kind="code")))
    assert [(entry.path, entry.size) for entry in found.layers] == [("model/a", 1), ("app/x.py", 7)]


HOSTILE = {
    "leaves upwards": layer("../../etc/cron.d/x"),
    "leaves inside": layer("model/../../x"),
    "absolute": layer("/etc/passwd"),
    "dot": layer("./x"),
    "empty part": layer("a//b"),
    "folder": layer("model/"),
    "backslash": layer("..\\x"),
    "drive": layer("c:x"),
    "null byte": layer("a\0b"),
    "line feed": layer("a\nb"),
    "long name": layer("a" * 300),
    "long path": layer("/".join(["abcdefgh"] * 200)),
    "our own file": layer("release.json"),
    "no path": layer(None),
    "negative size": layer(size=-1),
    "absurd size": layer(size=1 << 60),
    "size as text": layer(size="1"),
    "size as truth": layer(size=True),
    "short digest": layer(digest="sha256:aa"),
    "another digest": layer(digest="md5:" + "a" * 64),
    "digest as path": layer(digest="sha256:../../../../etc/passwd" + "a" * 43),
    "an archive": {**layer(), "mediaType": "application/vnd.cncf.model.weight.v1.tar"},
    "nothing": {},
    "a number": 7,
}


@pytest.mark.parametrize("entry", HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_layer_is_refused(entry: Any) -> None:
    with pytest.raises(ReleaseError):
        parse_manifest(manifest(layer("good"), entry))


@pytest.mark.parametrize(
    "names", [("a", "a"), ("a", "A"), ("a", "a/b"), ("x/y/z", "x/Y")], ids=["twice", "case", "file and folder", "both"]
)
def test_names_that_collide_are_refused(names: tuple[str, str]) -> None:
    with pytest.raises(ReleaseError):
        parse_manifest(manifest(*(layer(name) for name in names)))


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[]", b"\xff", b"[" * 200_000, b" " * (9 << 20), manifest(), manifest(layer(), schemaVersion=1)],
    ids=["empty", "null", "list", "no text", "deep", "large", "no layers", "another version"],
)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(ReleaseError):
        parse_manifest(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(
    path=st.text(max_size=40) | json_values,
    size=json_values,
    changes=st.dictionaries(st.sampled_from(["config", "layers"]), json_values),
)
def test_any_manifest_is_read_or_refused_and_never_leads_out(path: Any, size: Any, changes: dict[str, Any]) -> None:
    try:
        found = parse_manifest(manifest(layer(path, size if type(size) is int else 1), **changes))
    except ReleaseError:
        return
    for entry in found.layers:
        whole = (Path("/release") / entry.path).resolve()
        assert whole.is_relative_to("/release") and whole != Path("/release")
