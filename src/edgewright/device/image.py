"""Images as uint8 H×W×3 RGB arrays: decoding, resizing, letterboxing.

OpenCV does the work where it is installed, else Pillow (decoding) and numpy (resizing). Resizing is
bit for bit the same either way: bilinear with the fixed-point arithmetic that OpenCV documents as
INTER_LINEAR_EXACT (8-bit weights, 16-bit rows, one rounding), since what OpenCV's plain
INTER_LINEAR computes depends on the processor's vendor library.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, Optional, Tuple

import numpy as np

from edgewright.device.image_header import Header, read_header

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

MAX_PIXELS = 100_000_000
MAX_FILE_BYTES = 512 << 20


class ImageError(ValueError):
    """An image that cannot be used: what is wrong (`message`) and what to do (`remedy`)."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


def opencv() -> Optional[Any]:
    """The cv2 module, or None on a device that has none (or where EDGEWRIGHT_NO_OPENCV is set)."""
    if os.environ.get("EDGEWRIGHT_NO_OPENCV"):
        return None
    try:
        import cv2
    except ImportError:
        return None
    return cv2


def decode_file(path: str) -> Array:
    """The pixels of an image file, upright: uint8 [H, W, 3] RGB. Raises ImageError."""
    return decode(read_bytes(path), path)


def read_bytes(path: str) -> bytes:
    """The bytes of a file of bounded size. Raises ImageError."""
    try:
        if os.path.getsize(path) > MAX_FILE_BYTES:
            raise ImageError(f"{path} is over {MAX_FILE_BYTES >> 20} MiB.", "Give a smaller image.")
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ImageError(
            f"{path} cannot be read: {error.strerror or error}.", "Check the path and its rights."
        ) from None


def decode(data: bytes, name: str = "the image") -> Array:
    """Bytes of a JPEG, PNG, BMP or WebP file to uint8 [H, W, 3] RGB, upright by its Exif orientation.

    Gray is repeated into three channels, alpha is dropped, 16-bit samples keep their high byte.
    Raises ImageError for other formats, for a cut-off file, and above 100 megapixels.
    """
    header = checked_header(data, name)
    cv2 = opencv()
    pixels = _decode_opencv(cv2, data) if cv2 is not None else _decode_pillow(data)
    if pixels is None or pixels.shape[:2] != (header.height, header.width):
        raise ImageError(f"{name} is a damaged {header.format} file.", "Replace the file, or leave it out.")
    return np.ascontiguousarray(_upright(pixels, header.orientation))


def checked_header(data: bytes, name: str) -> Header:
    """The header of a usable image. Raises ImageError."""
    header = read_header(data)
    if header is None:
        raise ImageError(f"{name} is not a JPEG, PNG, BMP or WebP image.", "Convert it to one of these formats.")
    if not 0 < header.width * header.height <= MAX_PIXELS:
        size = f"{header.width}×{header.height}"
        raise ImageError(f"{name} says it is {size} pixels; at most 100 megapixels are read.", "Give a smaller image.")
    if not header.complete:
        raise ImageError(f"{name} is cut off: its {header.format} data end too early.", "Copy the file again.")
    return header


def _decode_opencv(cv2: Any, data: bytes) -> Optional[Array]:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    return None if pixels is None else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def _decode_pillow(data: bytes) -> Optional[Array]:
    import io

    try:
        from PIL import Image
    except ImportError:
        raise ImageError(
            "This device has neither OpenCV nor Pillow, so it cannot decode images.",
            "Install opencv-python-headless or pillow, or send tensors.",
        ) from None
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "BMP", "WEBP")) as picture:
            if picture.mode.startswith("I"):  # 16-bit gray
                high = np.asarray(picture).astype(np.int64) >> 8
                return np.repeat(high.astype(np.uint8)[..., None], 3, axis=2)
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError):
        return None


def _upright(pixels: Array, orientation: int) -> Array:
    """Exif 2.32, tag 0x0112: what row 0 and column 0 of the stored picture show."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def resize(image: Array, width: int, height: int, out: Optional[Array] = None) -> Array:
    """`image` (uint8 [H, W, C] or [H, W]) resized bilinearly to [height, width]; half-pixel centres,
    edges repeated. `out`, if given, receives the result; its rows may be strided."""
    if image.shape[:2] == (height, width):
        if out is None:
            return image
        np.copyto(out, image)
        return out
    cv2 = opencv()
    if cv2 is None:
        result = resize_numpy(image, width, height)
    elif out is not None:
        cv2.resize(image, (width, height), dst=out, interpolation=cv2.INTER_LINEAR_EXACT)
        return out
    else:
        result = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)
        return np.asarray(result).reshape((height, width) + image.shape[2:])  # OpenCV drops a last axis of one
    if out is None:
        return result
    np.copyto(out, result)
    return out


def resize_numpy(image: Array, width: int, height: int) -> Array:
    """`resize` without OpenCV: the same bits.

    Weights are rounded to 1/256. Two rows mix to 8.8 fixed point (at most 65,280, so uint16 holds it
    without rounding), two columns to 16.16, and only then is it rounded, half up; nothing is lost on the
    way, so rows may come first, which leaves less for the slow gathering of columns.
    """
    channels = image.shape[2] if image.ndim == 3 else 1
    top, bottom, down = _taps(image.shape[0], height)
    left, right, across = _taps(image.shape[1], width)
    flat = image.reshape(image.shape[0], -1)
    weight = down.astype(np.uint16)[:, None]
    rows = flat[top] * (256 - weight)
    rows += flat[bottom] * weight
    within = np.arange(channels)
    weight = np.repeat(across, channels).astype(np.uint32)
    mixed = rows.take((left[:, None] * channels + within).ravel(), axis=1) * (256 - weight)
    mixed += rows.take((right[:, None] * channels + within).ravel(), axis=1) * weight
    mixed += 1 << 15
    mixed >>= 16
    return mixed.astype(np.uint8).reshape((height, width) + image.shape[2:])


@functools.lru_cache(maxsize=32)
def _taps(source: int, target: int) -> Tuple[Array, Array, Array]:
    """Per target position: the two source positions it mixes and the second one's weight of 256."""
    centre = 1.0 / (target / source) * (np.arange(target) + 0.5) - 0.5
    first = np.floor(centre).astype(np.int64)
    weight = np.rint((centre - first) * 256).astype(np.int64)
    weight[(first < 0) | (first >= source - 1)] = 0
    first = np.clip(first, 0, source - 1)
    return first, np.minimum(first + 1, source - 1), weight


def fit(source: Tuple[int, int], target: Tuple[int, int], scale_up: bool = True) -> Tuple[int, int]:
    """The largest (width, height) of `source`'s shape inside `target`; sizes are (width, height)."""
    ratio = min(target[0] / source[0], target[1] / source[1])
    if not scale_up:
        ratio = min(ratio, 1.0)
    return max(1, round(source[0] * ratio)), max(1, round(source[1] * ratio))
