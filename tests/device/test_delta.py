"""Deltas on a device: any pair of files comes back whole, and nothing hostile gets beyond its bounds."""

from __future__ import annotations

import hashlib
import io
import lzma
import struct
import tempfile
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.device.delta import ADD, BLOCK, COPY, INSERT, MAGIC, DeltaError, apply, codecs, plus, rebuild
from edgewright.device.patch import patch, unpack
from edgewright.device.release import Layout, ReleaseError
from edgewright.pipeline.difference import difference, minus


def rebuilt(base: bytes, delta: bytes, size: int) -> bytes:
    out = io.BytesIO()
    digest = rebuild(io.BytesIO(base), io.BytesIO(delta), out, size)
    assert digest == hashlib.sha256(out.getvalue()).hexdigest()
    return out.getvalue()


def packed(stream: bytes) -> bytes:
    return MAGIC + b"z" + zlib.compress(stream)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A file and what became of it: pieces kept, moved, changed a little, taken out and put in."""
    base = draw(st.binary(max_size=3000)) * draw(st.sampled_from([1, 1, 3]))
    pieces = []
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, len(base)))
        piece = bytearray(base[start : start + draw(st.integers(0, 2000))])
        for at in draw(st.lists(st.integers(0, max(0, len(piece) - 1)), max_size=5)):
            if piece:
                piece[at] = (piece[at] + draw(st.integers(0, 255))) % 256
        pieces += [bytes(piece), draw(st.binary(max_size=50))]
    return base, b"".join(pieces)


@settings(deadline=None)
@given(pairs(), st.sampled_from("xz"))
def test_any_pair_of_files_comes_back_whole(pair: tuple[bytes, bytes], codec: str) -> None:
    base, target = pair
    assert rebuilt(base, difference(base, target, codec), len(target)) == target


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.integers(1, 3 * BLOCK), st.integers(-9, 9), st.sampled_from("xz"))
def test_weights_of_any_length_that_all_moved_a_little_come_back_whole(
    seed: int, size: int, shift: int, codec: str
) -> None:
    numbers = np.random.default_rng(seed)
    base = numbers.integers(0, 256, size, dtype=np.uint8)
    target = np.roll(base, shift) + numbers.integers(0, 3, size, dtype=np.uint8)
    delta = difference(base.tobytes(), target.tobytes(), codec)
    assert rebuilt(base.tobytes(), delta, size) == target.tobytes()


@given(st.sampled_from([1, 2, 4]), st.integers(1, 40), st.integers(0, 2**32))
def test_words_are_added_modulo_their_range(width: int, count: int, seed: int) -> None:
    numbers = np.random.default_rng(seed)
    old, new = numbers.integers(0, 256, (2, count * width), dtype=np.uint8)
    assert plus(old.tobytes(), minus(new, old, width), width) == new.tobytes()


@settings(deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=300), st.integers(0, 400))
def test_what_a_stranger_sends_is_refused_or_has_the_size_asked_for(base: bytes, stream: bytes, size: int) -> None:
    for delta in (stream, MAGIC + stream, MAGIC + b"z" + stream, MAGIC + b"x" + stream, packed(stream)):
        out = io.BytesIO()
        try:
            rebuild(io.BytesIO(base), io.BytesIO(delta), out, size)
        except DeltaError:
            assert len(out.getvalue()) <= size
        else:
            assert len(out.getvalue()) == size


@pytest.mark.parametrize(
    "steps",
    [
        struct.pack("<BQQ", COPY, 95, 6),
        struct.pack("<BQQ", COPY, 1 << 63, 1),
        struct.pack("<BQQ", COPY, 0, 0),
        struct.pack("<BQQ", COPY, 0, 11),
        struct.pack("<BQ", INSERT, 1 << 62) + b"x",
        struct.pack("<BQ", INSERT, 10) + b"short",
        struct.pack("<BBQQ", ADD, 3, 0, 9) + b"123456789",
        struct.pack("<BBQQ", ADD, 4, 0, 10) + b"1234567890",
        struct.pack("<BBQQ", ADD, 1, 0, 10) + b"123456789",
        struct.pack("<BQQ", 9, 0, 10),
        struct.pack("<BQQ", COPY, 0, 10) + b"more",
        b"",
    ],
)
def test_steps_beyond_the_base_the_result_or_reason_are_refused(steps: bytes) -> None:
    with pytest.raises(DeltaError):
        rebuilt(bytes(100), packed(steps), 10)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = packed(struct.pack("<BQ", INSERT, 10) + bytes(64 << 20))
    with pytest.raises(DeltaError, match="behind its end"):
        rebuilt(b"", bomb, 10)


def test_a_dictionary_over_the_memory_of_a_board_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 1 << 30}]
    stream = struct.pack("<BQ", INSERT, 4) + b"data"
    with pytest.raises(DeltaError, match="damaged"):
        rebuilt(b"", MAGIC + b"x" + lzma.compress(stream, filters=filters), 4)


@pytest.mark.parametrize("codec", ["x", "z"])
def test_a_delta_with_any_bit_flipped_gives_the_file_or_an_error(codec: str) -> None:
    numbers = np.random.default_rng(0)
    base = numbers.integers(0, 256, 4000, dtype=np.uint8).tobytes()
    target = base[:1000] + bytes(50) + base[900:]
    delta = difference(base, target, codec)
    for bit in range(0, 8 * len(delta), 3):
        changed = bytearray(delta)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            assert rebuilt(base, bytes(changed), len(target)) == target  # what no check covers, changes nothing
        except DeltaError:
            continue


def test_a_file_that_only_moved_or_grew_costs_next_to_nothing() -> None:
    base = np.random.default_rng(0).integers(0, 256, 1 << 20, dtype=np.uint8).tobytes()
    for target in (base, base[5:], b"in front" + base, base[:1000] + b"between" * 9 + base[1000:], base[1 << 19 :]):
        assert len(difference(base, target)) < 1000


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(str(tmp_path / "device"))
    found.make()
    return found


def _ready(layout: Layout, base: bytes, target: bytes, delta: bytes) -> dict[str, dict[str, object]]:
    old, new = (hashlib.sha256(data).hexdigest() for data in (base, target))
    Path(layout.blob(old)).write_bytes(base)
    (Path(layout.incoming) / (new + ".delta")).write_bytes(delta)
    return {new: {"base": old, "size": len(target)}}


def test_a_rebuilt_file_waits_among_those_that_arrived(layout: Layout) -> None:
    base, target = bytes(range(256)) * 20, bytes(range(256)) * 20 + b"more"
    asked = _ready(layout, base, target, difference(base, target))
    assert patch(layout, asked) == {"rebuilt": list(asked), "refused": {}}
    assert [path.read_bytes() for path in Path(layout.incoming).iterdir()] == [target]


@pytest.mark.parametrize("wrong", ["delta", "base", "missing base", "missing delta", "size"])
def test_what_cannot_be_rebuilt_is_named_and_leaves_nothing(layout: Layout, wrong: str) -> None:
    base, target = bytes(range(256)) * 20, bytes(range(256)) * 20 + b"more"
    delta = difference(base, target)
    asked = _ready(layout, base, target, delta[:-9] if wrong == "delta" else delta)
    (new, how), *_ = asked.items()
    if wrong == "base":
        Path(layout.blob(str(how["base"]))).write_bytes(bytes(5120))
    elif wrong == "missing base":
        Path(layout.blob(str(how["base"]))).unlink()
    elif wrong == "missing delta":
        (Path(layout.incoming) / (new + ".delta")).unlink()
    elif wrong == "size":
        how["size"] = len(target) - 1
    answer = patch(layout, asked)
    assert list(answer["refused"]) == [new] and not answer["rebuilt"]
    assert list(Path(layout.incoming).iterdir()) == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "0" * 63, 7])
def test_a_base_that_is_no_digest_is_refused(layout: Layout, name: object) -> None:
    asked = _ready(layout, b"base", b"target", b"")
    next(iter(asked.values()))["base"] = name
    with pytest.raises(ReleaseError, match="is not a sha256"):
        patch(layout, asked)


def test_the_result_is_on_the_disk_with_the_digest_that_is_said(tmp_path: Path) -> None:
    base, target = b"a" * 5000, b"a" * 4000 + b"b" * 5000
    for name, data in (("base", base), ("delta", difference(base, target))):
        (tmp_path / name).write_bytes(data)
    said = apply(str(tmp_path / "base"), str(tmp_path / "delta"), str(tmp_path / "out"), len(target))
    assert said == hashlib.sha256(target).hexdigest() and (tmp_path / "out").read_bytes() == target


def test_this_python_unpacks_both() -> None:
    assert codecs() == "xz"


def _archive(layout: Layout, members: dict[str, bytes]) -> str:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    name = hashlib.sha256(out.getvalue()).hexdigest()
    (Path(layout.incoming) / (name + ".zip")).write_bytes(out.getvalue())
    return name


def test_small_files_come_out_of_an_archive_if_they_are_what_they_are_called(layout: Layout) -> None:
    good, changed, large = b"good", b"changed", bytes(1 << 20)
    names = [hashlib.sha256(data).hexdigest() for data in (good, b"before", large)]
    archive = _archive(layout, {**dict(zip(names, (good, changed, large), strict=True)), "../../escaped": b"x"})
    sizes: dict[str, object] = {names[0]: 4, names[1]: 7, names[2]: 1 << 20, "f" * 64: 3}
    assert unpack(layout, archive, sizes) == [names[0]]
    assert [path.name for path in Path(layout.incoming).iterdir()] == [names[0]]


def test_a_member_larger_than_was_said_is_not_unpacked(layout: Layout) -> None:
    data = bytes(40 << 20)
    name = hashlib.sha256(data[:10]).hexdigest()
    assert unpack(layout, _archive(layout, {name: data}), {name: 10}) == []


@given(st.binary(max_size=300), st.integers(0, 255))
def test_an_archive_of_a_stranger_gives_nothing(data: bytes, at: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        layout = Layout(folder)
        layout.make()
        name = _archive(layout, {"0" * 64: b"some data"})
        path = Path(layout.incoming) / (name + ".zip")
        whole = path.read_bytes()
        for content in (data, whole[: at % len(whole)] + data + whole[at % len(whole) :]):
            path.write_bytes(content)
            assert unpack(layout, name, {"0" * 64: 9}) == []


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    size = 24 << 20
    base, delta, out = (str(tmp_path / name) for name in ("base", "delta", "out"))
    Path(base).write_bytes(bytes(size))
    steps = struct.pack("<BBQQ", ADD, 4, 0, size) + b"\1" * size + struct.pack("<BQ", INSERT, size) + bytes(size)
    Path(delta).write_bytes(packed(steps))
    tracemalloc.start()
    try:
        apply(base, delta, out, 2 * size)
        assert tracemalloc.get_traced_memory()[1] < 6 << 20
    finally:
        tracemalloc.stop()
    assert Path(out).stat().st_size == 2 * size
