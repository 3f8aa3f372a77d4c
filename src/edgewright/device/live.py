"""The service's own source: every frame through the model, the results kept, the boxes drawn for
whoever watches.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional

from edgewright.device import image
from edgewright.device.frames import Frame, FrameError, frames
from edgewright.device.golden import as_json
from edgewright.device.inference import Busy, Inference

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

RESULTS_BYTES = 16 << 20
"""`results.jsonl` becomes `results.1.jsonl` above this."""
SAVED_IMAGES = 10000
"""Annotated images written into the save folder before writing ends: a board's disk is small."""
BOUNDARY = "edgewright"
VIEWERS = 4
logger = logging.getLogger("edgewright")


def encode_jpeg(pixels: Array) -> Optional[bytes]:
    """JPEG bytes of uint8 [H, W, 3] RGB; None on a device that has no encoder."""
    cv2 = image.opencv()
    if cv2 is not None:
        done, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
        return bytes(data) if done else None
    try:
        from PIL import Image
    except ImportError:
        return None
    import io

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=85)
    return out.getvalue()


class Live(object):
    """Runs `source` through the inference in a thread of its own. `folder` gets `results.jsonl`, `save`
    (if given) the annotated images."""

    def __init__(self, source: str, inference: Inference, folder: str, save: Optional[str] = None) -> None:
        self._source, self._inference, self._save = source, inference, save
        self._results = os.path.join(folder, "results.jsonl")
        self._stopped = threading.Event()
        self._changed = threading.Condition()
        self._viewers = 0
        self._latest: Optional[bytes] = None
        self._number = self._saved = 0
        self.state: Dict[str, Any] = {"state": "starting", "frames": 0, "errors": 0}
        self._thread = threading.Thread(target=self._run, name="source", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(timeout=3.0)

    def pictures(self) -> Iterator[bytes]:
        """Annotated JPEGs as they come, for one viewer; ends when the source does."""
        with self._changed:
            self._viewers += 1
        last = -1 if self._latest is None else self._number - 1
        try:
            while not self._stopped.is_set():
                with self._changed:
                    if self._number == last and not self._ended():
                        self._changed.wait(timeout=1.0)
                    picture, number, ended = self._latest, self._number, self._ended()
                if picture is not None and number > last:
                    last = number
                    yield picture
                elif ended:
                    return
        finally:
            with self._changed:
                self._viewers -= 1

    def has_room(self) -> bool:
        return self._viewers < VIEWERS

    def _ended(self) -> bool:
        return self.state["state"] in ("ended", "failed")

    def _run(self) -> None:
        try:
            for frame in frames(self._source, self._stopped):
                self.state["state"] = "running"
                self._take(frame)
            self._end("ended", "")
        except FrameError as error:
            self._end("failed", "%s %s" % (error.message, error.remedy))
        except Exception as error:  # the source must not take the HTTP service down with it
            logger.exception("the source failed")
            self._end("failed", "%s: %s" % (type(error).__name__, error))

    def _end(self, state: str, reason: str) -> None:
        with self._changed:
            self.state.update(state=state, **({"error": reason} if reason else {}))
            self._changed.notify_all()
        logger.info("source %s %s", state, reason)

    def _take(self, frame: Frame) -> None:
        try:
            answer = self._inference.predict(frame.pixels, stateful=True)
        except Busy:
            return  # requests come first; a frame that finds no turn is left out
        except Exception as error:
            self.state["errors"] += 1
            self.state["error"] = "%s: %s" % (type(error).__name__, error)
            return
        self.state["frames"] += 1
        self._append(frame.name, as_json(answer.prediction), answer.timing_ms)
        saving = self._save is not None and self._saved < SAVED_IMAGES
        if self._viewers or saving or self._latest is None:
            self._show(frame, answer.prediction, saving)

    def _append(self, name: str, prediction: Any, timing_ms: Dict[str, float]) -> None:
        line = json.dumps({"name": name, "wall": time.time(), "prediction": prediction, "timing_ms": timing_ms})
        try:
            if os.path.exists(self._results) and os.path.getsize(self._results) > RESULTS_BYTES:
                os.replace(self._results, self._results[: -len(".jsonl")] + ".1.jsonl")
            with open(self._results, "a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            self.state["error"] = "results cannot be written: %s" % error

    def _show(self, frame: Frame, prediction: Any, saving: bool) -> None:
        picture = encode_jpeg(self._inference.session.draw(frame.pixels, prediction))
        if picture is None:
            self.state["error"] = "This device has neither OpenCV nor Pillow to encode pictures."
            return
        with self._changed:
            self._latest, self._number = picture, self._number + 1
            self._changed.notify_all()
        if saving:
            self._write(frame.name, picture)

    def _write(self, name: str, picture: bytes) -> None:
        assert self._save is not None
        try:
            os.makedirs(self._save, exist_ok=True)
            stem = os.path.splitext(os.path.basename(name))[0] if "#" not in name else name.replace("#", "-")
            with open(os.path.join(self._save, stem + ".jpg"), "wb") as out:
                out.write(picture)
            self._saved += 1
        except OSError as error:
            self.state["error"] = "pictures cannot be written: %s" % error


def parts(pictures: Iterator[bytes]) -> Iterator[bytes]:
    """multipart/x-mixed-replace (RFC 2046) pieces of a motion-JPEG stream."""
    for picture in pictures:
        head = "--%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % (BOUNDARY, len(picture))
        yield head.encode("ascii") + picture + b"\r\n"


def listed(labels: List[str], kind: str, prediction: Any) -> List[Any]:
    """A prediction with its labels' names, for people: boxes of a detector, classes of a classifier."""

    def label(number: Any) -> str:
        index = int(number)
        return labels[index] if 0 <= index < len(labels) else str(index)

    if kind == "detection":
        return [
            {"label": label(row[0]), "class": int(row[0]), "score": row[1], "box": list(row[2:6])} for row in prediction
        ]
    if kind == "classification":
        return [{"label": label(row[0]), "class": int(row[0]), "score": row[1]} for row in prediction]
    return [prediction]
