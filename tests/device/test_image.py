"""Pixels in: the same ones from OpenCV and from Pillow, resized to the same bits with and without OpenCV."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.device import image

cv2 = pytest.importorskip("cv2")
Image = pytest.importorskip("PIL.Image")
sizes = st.integers(1, 90)


def picture(seed: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth(height: int = 37, width: int = 53) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 4 % 256, y * 5 % 256, (x + y) * 2 % 256], axis=2).astype(np.uint8)


def encoded(pixels: np.ndarray, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form, **options)
    return out.getvalue()


@given(
    seed=st.integers(0, 999), size=st.tuples(sizes, sizes), to=st.tuples(sizes, sizes), channels=st.sampled_from([1, 3])
)
@settings(max_examples=300, deadline=None)
def test_resize_gives_the_same_bits_with_and_without_opencv(seed, size, to, channels):
    pixels = picture(seed, *size, channels)
    assert np.array_equal(image.resize(pixels, *to), image.resize_numpy(pixels, *to))


@pytest.mark.parametrize("to", [(416, 312), (640, 360), (640, 480), (320, 240), (31, 1000)])
def test_resize_of_photograph_sizes_gives_the_same_bits(to):
    pixels = picture(1, 480, 640)
    assert np.array_equal(image.resize(pixels, *to), image.resize_numpy(pixels, *to))


def test_resize_writes_into_a_part_of_a_canvas(monkeypatch):
    pixels, canvases = picture(2, 50, 70), []
    for without in ("", "1"):
        monkeypatch.setenv("EDGEWRIGHT_NO_OPENCV", without)
        canvas = np.full((90, 90, 3), 114, np.uint8)
        image.resize(pixels, 60, 40, out=canvas[10:50, 20:80])
        canvases.append(canvas)
    assert np.array_equal(*canvases)
    assert (canvases[0][:10] == 114).all() and (canvases[0][:, :20] == 114).all()


def test_resize_to_its_own_size_changes_nothing():
    pixels = picture(3, 20, 30)
    assert np.array_equal(image.resize(pixels, 30, 20), pixels)


def forms() -> dict[str, bytes]:
    rgb, alpha = smooth(), np.full((37, 53, 1), 77, np.uint8)
    wide = (np.arange(37 * 53, dtype=np.uint16).reshape(37, 53) * 33).astype(np.uint16)
    palette = io.BytesIO()
    Image.fromarray(rgb).quantize(16).save(palette, "PNG", transparency=3)
    gray_alpha = io.BytesIO()
    Image.fromarray(rgb).convert("LA").save(gray_alpha, "PNG")
    return {
        "png": encoded(rgb, "PNG"),
        "png with alpha": encoded(np.concatenate([rgb, alpha], axis=2), "PNG"),
        "png gray": encoded(rgb[..., 0], "PNG"),
        "png gray with alpha": gray_alpha.getvalue(),
        "png palette": palette.getvalue(),
        "png 16-bit gray": cv2.imencode(".png", wide)[1].tobytes(),
        "png 16-bit colour": cv2.imencode(".png", np.stack([wide] * 3, axis=2))[1].tobytes(),
        "bmp": encoded(rgb, "BMP"),
        "webp": encoded(rgb, "WEBP", lossless=True),
        "jpeg": encoded(rgb, "JPEG", quality=95, subsampling=0),
        "jpeg gray": encoded(rgb[..., 1], "JPEG", quality=95),
    }


@pytest.mark.parametrize("form", list(forms()))
def test_opencv_and_pillow_decode_to_the_same_pixels(form, monkeypatch):
    data = forms()[form]
    ours = image.decode(data)
    monkeypatch.setenv("EDGEWRIGHT_NO_OPENCV", "1")
    theirs = image.decode(data)
    assert ours.dtype == np.uint8 and ours.shape == (37, 53, 3) and ours.flags.c_contiguous
    slack = 2 if form.startswith("jpeg") else 0  # two builds of libjpeg may round their cosines differently
    assert np.abs(ours.astype(int) - theirs).max() <= slack


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("without", ["", "1"])
def test_an_exif_orientation_is_applied_alike(form, orientation, without, monkeypatch):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(smooth(), form, exif=exif, **({"quality": 95} if form == "JPEG" else {"lossless": True}))
    monkeypatch.setenv("EDGEWRIGHT_NO_OPENCV", without)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    pixels = image.decode(data)
    assert pixels.shape == upright.shape
    assert np.abs(pixels.astype(int) - upright).max() <= (3 if form == "JPEG" else 0)


def test_a_picture_of_over_100_megapixels_is_refused_before_it_is_decoded():
    data = bytearray(encoded(smooth(), "PNG"))
    data[16:24] = (20_000).to_bytes(4, "big") + (20_000).to_bytes(4, "big")
    with pytest.raises(image.ImageError, match="100 megapixels"):
        image.decode(bytes(data))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP"])
@pytest.mark.parametrize("without", ["", "1"])
def test_a_cut_off_picture_is_refused_alike(form, without, monkeypatch):
    monkeypatch.setenv("EDGEWRIGHT_NO_OPENCV", without)
    data = encoded(smooth(), form)
    with pytest.raises(image.ImageError) as error:
        image.decode(data[: len(data) * 2 // 3], "photo")
    assert "photo" in error.value.message and error.value.remedy


def test_what_is_no_image_is_named(tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_text("not an image")
    with pytest.raises(image.ImageError, match="not a JPEG, PNG, BMP or WebP"):
        image.decode_file(str(path))
    with pytest.raises(image.ImageError, match="cannot be read"):
        image.decode_file(str(tmp_path / "absent.jpg"))


@given(
    st.binary(max_size=400), st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF\0\0\0\0WEBP", b""])
)
@settings(max_examples=300, deadline=None)
def test_no_bytes_crash_the_decoder(data, start):
    try:
        pixels = image.decode(start + data)
    except image.ImageError:
        return
    assert pixels.dtype == np.uint8


@given(at=st.integers(0, 600), value=st.integers(0, 255), form=st.sampled_from(["PNG", "JPEG", "BMP"]))
@settings(max_examples=200, deadline=None)
def test_a_damaged_picture_is_refused_or_decoded_whole(at, value, form):
    data = bytearray(encoded(smooth(), form))
    data[at % len(data)] = value
    try:
        pixels = image.decode(bytes(data))
    except image.ImageError:
        return
    assert pixels.ndim == 3 and pixels.shape[2] == 3
