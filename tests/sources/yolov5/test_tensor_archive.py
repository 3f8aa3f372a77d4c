from __future__ import annotations

import io
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.core.errors import InputError, UnsafeModelError
from edgewright.sources.yolov5.tensor_archive import TensorArchive

torch = pytest.importorskip("torch")


def saved(path: Path, value: Any, **options: Any) -> Path:
    torch.save(value, path, **options)
    return path


def refused(path: Path) -> InputError:
    with pytest.raises(InputError) as refusal, TensorArchive(path):
        pass
    assert refusal.value.remedy
    return refusal.value


@pytest.mark.parametrize(
    "kind", ["float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool"]
)
def test_every_type_is_read_as_torch_reads_it(tmp_path: Path, kind: str) -> None:
    tensor = (torch.randn(3, 4) * 50).to(getattr(torch, kind))
    with TensorArchive(saved(tmp_path / "t.pt", {"t": tensor})) as archive:
        ours = archive.array(archive.root["t"])
    theirs = tensor.float().numpy() if kind == "bfloat16" else tensor.numpy()
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


def test_views_with_strides_and_offsets_are_read_right(tmp_path: Path) -> None:
    base = torch.arange(60.0).view(3, 4, 5)
    views = {"t": base.transpose(0, 2), "s": base[1:, ::2, 3], "n": base[2, 3, 4], "e": base[:0]}
    with TensorArchive(saved(tmp_path / "t.pt", views)) as archive:
        for name, view in views.items():
            np.testing.assert_array_equal(archive.array(archive.root[name]), view.numpy())


def test_a_planted_command_is_refused_by_name_and_does_not_run(tmp_path: Path) -> None:
    import os

    class Planted:
        def __reduce__(self) -> Any:
            return os.system, (f"echo planted > {tmp_path / 'planted'}",)

    path = saved(tmp_path / "t.pt", {"model": Planted()})
    error = refused(path)
    assert isinstance(error, UnsafeModelError)
    assert "system" in error.message
    bare = tmp_path / "bare.pt"
    bare.write_bytes(pickle.dumps(Planted()))
    assert isinstance(refused(bare), UnsafeModelError)
    old = saved(tmp_path / "old.pt", {"model": Planted()}, _use_new_zipfile_serialization=False)
    assert isinstance(refused(old), UnsafeModelError)
    assert not (tmp_path / "planted").exists()


def test_the_format_before_torch_1_6_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = saved(tmp_path / "t.pt", {"t": torch.ones(2)}, _use_new_zipfile_serialization=False)
    error = refused(path)
    assert "1.6" in error.message
    assert "torch.save" in error.remedy


def test_torchscript_is_refused_with_what_to_do(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "t.pt"))
    error = refused(tmp_path / "t.pt")
    assert "TorchScript" in error.message
    assert "trust" in error.remedy


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", b"\x80\x02.", b"\x00" * 100])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.pt").write_bytes(content)
    refused(tmp_path / "t.pt")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.pt")


def rewritten(path: Path, change: Any, compression: int = zipfile.ZIP_STORED) -> Path:
    """The archive with its entries passed through `change(name, data)`; None drops one."""
    other = path.with_name("changed.pt")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, "w", compression) as target:
        for name in source.namelist():
            data = change(name, source.read(name))
            if data is not None:
                target.writestr(name, data)
    return other


def test_a_big_endian_file_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "t.pt", {"t": torch.ones(2)})
    other = rewritten(path, lambda name, data: b"big" if name.endswith("byteorder") else data)
    assert "big-endian" in refused(other).message


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "t.pt", {"t": torch.zeros(100_000)})
    refused(rewritten(path, lambda name, data: data, zipfile.ZIP_DEFLATED))


@pytest.mark.parametrize("change", [lambda data: data[:-4], lambda data: data + b"1234", lambda data: None])
def test_a_storage_of_the_wrong_length_is_refused(tmp_path: Path, change: Any) -> None:
    path = saved(tmp_path / "t.pt", {"t": torch.ones(8)})
    other = rewritten(path, lambda name, data: change(data) if name.endswith("data/0") else data)
    with pytest.raises(InputError), TensorArchive(other) as archive:
        archive.array(archive.root["t"])


def test_a_shape_that_reaches_outside_its_storage_is_refused(tmp_path: Path) -> None:
    for shape, strides, offset in (((9,), (1,), 0), ((4,), (3,), 0), ((8,), (1,), 1), ((10**6, 10**6), (0, 0), 0)):
        path = saved(tmp_path / "t.pt", {"t": torch.ones(8)})
        with TensorArchive(path) as archive:
            tensor = archive.root["t"]
            storage, _, _, _, *rest = tensor.arguments
            tensor.arguments = (storage, offset, shape, strides, *rest)
            with pytest.raises(InputError):
                archive.array(tensor)


def test_one_storage_seen_through_many_tensors_cannot_fill_the_memory(tmp_path: Path) -> None:
    base = torch.ones(10_000)
    path = saved(tmp_path / "t.pt", [base.view(100, 100) for _ in range(200)])
    with TensorArchive(path) as archive, pytest.raises(InputError):
        [archive.array(tensor) for tensor in archive.root]


def test_any_cut_or_change_is_read_or_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"a": torch.randn(4, 4).half(), "b": torch.arange(3)}, buffer)
    data, chance, path = buffer.getvalue(), random.Random(1), tmp_path / "t.pt"
    for _ in range(400):
        changed = bytearray(data)
        for _ in range(chance.randint(0, 3)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        path.write_bytes(changed[: chance.randint(0, len(changed))] if chance.random() < 0.4 else changed)
        try:
            with TensorArchive(path) as archive:
                for value in archive.root.values() if isinstance(archive.root, dict) else ():
                    archive.array(value)
        except InputError as refusal:
            assert refusal.remedy
        except AttributeError:
            raise AssertionError("a tensor that is no record") from None
