"""Frames from a folder, a video file, a camera or a network stream, as uint8 [H, W, 3] RGB.

`camera:N`, `rtsp://…`, a folder (its images in order, then whatever is added), a video or image file;
`loop:` before a folder or a file plays it without end.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any, Iterator, NamedTuple, Optional

from edgewright.device import image

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
LOOK_AGAIN_S = 0.5
"""How often a folder is looked at for new images."""
REOPEN_S = (0.5, 10.0)
"""A camera that is gone is tried again after the first, doubling up to the second."""


class FrameError(Exception):
    """A source that cannot be used: what is wrong and what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super(FrameError, self).__init__(message)
        self.message, self.remedy = message, remedy


class Frame(NamedTuple):
    name: str
    pixels: Array


def frames(source: str, stopped: threading.Event) -> Iterator[Frame]:
    """Frames until `stopped` or the end of the source. FrameError where it cannot be opened at all."""
    endless = source.startswith("loop:")
    path = source[5:] if endless else source
    if path.startswith(("camera:", "rtsp://", "rtsps://", "http://", "https://")):
        return _live(path, stopped)
    if os.path.isdir(path):
        return _folder(path, endless, stopped)
    if not os.path.exists(path):
        raise FrameError("There is no source %s on this device." % path, "Give a folder, a video file or camera:0.")
    if path.lower().endswith(IMAGES):
        return _images([path], endless, stopped)
    return _video(path, endless, stopped)


def _folder(path: str, endless: bool, stopped: threading.Event) -> Iterator[Frame]:
    seen = {}  # type: ignore[var-annotated]
    while not stopped.is_set():
        names = sorted(name for name in os.listdir(path) if name.lower().endswith(IMAGES))
        new = [os.path.join(path, name) for name in names]
        if not endless:
            new = [file for file in new if seen.get(file) != _stamp(file)]
        for frame in _images(new, False, stopped):
            yield frame
        seen.update((file, _stamp(file)) for file in new)
        if not new or not endless:
            stopped.wait(LOOK_AGAIN_S)


def _stamp(path: str) -> Any:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _images(paths: Any, endless: bool, stopped: threading.Event) -> Iterator[Frame]:
    while not stopped.is_set():
        for path in paths:
            if stopped.is_set():
                return
            try:
                yield Frame(os.path.basename(path), image.decode_file(path))
            except image.ImageError:
                continue  # a file still being written, or no image: it is looked at again when it changes
        if not endless:
            return


def _video(path: str, endless: bool, stopped: threading.Event) -> Iterator[Frame]:
    capture = _open(path)
    rate = capture.get(_cv2().CAP_PROP_FPS)
    pause = 1.0 / rate if 0.5 <= rate <= 240 else 0.0
    number, due = 0, time.monotonic()
    while not stopped.is_set():
        pixels = _read(capture)
        if pixels is None:
            capture.release()
            if not endless or number == 0:
                return
            capture, number = _open(path), 0
            continue
        # Not faster than it was filmed; when we are slower, no frame is left out and no time is owed.
        stopped.wait(max(0.0, due - time.monotonic()))
        due = max(due, time.monotonic() - pause) + pause
        yield Frame("%s#%06d" % (os.path.basename(path), number), pixels)
        number += 1


def _live(address: str, stopped: threading.Event) -> Iterator[Frame]:
    shown = address if address.startswith("camera:") else address.split("://", 1)[0]  # an address may hold a password
    number, pause = 0, REOPEN_S[0]
    capture = _open(address)
    while not stopped.is_set():
        pixels = _read(capture) if capture is not None else None
        if pixels is not None:
            pause = REOPEN_S[0]
            yield Frame("%s#%06d" % (shown, number), pixels)
            number += 1
            continue
        if capture is not None:
            capture.release()
        stopped.wait(pause)
        pause = min(2 * pause, REOPEN_S[1])
        try:
            capture = _open(address)
        except FrameError:
            capture = None


def _open(source: str) -> Any:
    cv2 = _cv2()
    if source.startswith("camera:"):
        if not source[7:].isdigit():
            raise FrameError("'%s' is not a camera." % source, "Write camera:0 for the first one.")
        capture = cv2.VideoCapture(int(source[7:]))
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest frame, not the oldest that waits
    else:
        capture = cv2.VideoCapture(source)
    if not capture.isOpened():
        capture.release()
        raise FrameError("The source cannot be opened as a camera or a video.", "Check that it is there and plays.")
    return capture


def _read(capture: Any) -> Optional[Array]:
    there, pixels = capture.read()
    return _cv2().cvtColor(pixels, _cv2().COLOR_BGR2RGB) if there and pixels is not None else None


def _cv2() -> Any:
    cv2 = image.opencv()
    if cv2 is None:
        raise FrameError("This device has no OpenCV for cameras and videos.", "Install opencv-python-headless there.")
    return cv2
