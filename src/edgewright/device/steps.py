"""The steps that a task is made of: `kind` → what it does. The vocabulary is in docs/architecture.md.

A TaskSpec holds steps as data; `Preprocess` and `Postprocess` make them callable once, with the
arrays they write into, so that a picture costs no allocation. What an engine swallowed (colour,
scale, layout) is simply not in the list any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from edgewright.device import boxes, image
from edgewright.device.boxes import Geometry
from edgewright.device.decoders import DECODERS

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
    Move = Callable[[Array, Geometry], Tuple[Array, Geometry]]


class StepError(ValueError):
    """A step that does not exist or does not fit: `message` and `remedy`."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


class Preprocess:
    """Decoded pixels (uint8 [H, W, 3] RGB) → the network's input, by the steps in order.

    The array returned belongs to this object: the next call overwrites it.
    """

    def __init__(self, steps: Sequence[Mapping[str, Any]]) -> None:
        layout = next((s["params"]["to"] for s in steps if s["kind"] == "layout"), "NHWC")
        self._moves: List[Move] = [_build(step, layout) for step in steps]
        if layout == "NCHW":  # planes as soon as the picture has its size: all after is arithmetic on dense memory
            last = max((k for k, s in enumerate(steps) if s["kind"] in _GEOMETRIC), default=-1)
            self._moves.insert(last + 1, _planes())
        self._out: Optional[Array] = None

    def __call__(self, pixels: Array) -> Tuple[Array, Geometry]:
        """The array, and how its pixels lie in the source image."""
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise StepError(
                f"Pixels are uint8 height×width×3, not {pixels.dtype} {'×'.join(map(str, pixels.shape))}.",
                "Decode the image with edgewright.device.image.",
            )
        array, geometry = pixels, Geometry(pixels.shape[1], pixels.shape[0])
        for move in self._moves:
            array, geometry = move(array, geometry)
        return self._contiguous(array), geometry

    def _contiguous(self, array: Array) -> Array:
        """One dense array; views that a layout or colour step left are copied into a kept one."""
        if array.flags.c_contiguous:
            return array
        if self._out is None or self._out.shape != array.shape or self._out.dtype != array.dtype:
            self._out = np.empty(array.shape, array.dtype)
        np.copyto(self._out, array)
        return self._out


def _build(step: Mapping[str, Any], layout: str) -> Move:
    kind, params = step["kind"], dict(step.get("params") or {})
    if kind not in _MOVES:
        raise StepError(f"There is no pre-processing step '{kind}'.", f"Known: {', '.join(sorted(_MOVES))}.")
    if kind in ("colour", "scale", "normalise", "cast"):
        params["layout"] = layout
    try:
        return _MOVES[kind](**params)
    except TypeError as error:
        raise StepError(f"The step '{kind}' has wrong parameters: {error}.", "See docs/architecture.md.") from None


def letterbox(size: Sequence[int], value: int = 114, centre: bool = True, scale_up: bool = True) -> Move:
    """Fits the image into `size` [h, w], its shape kept; the rest is `value`. `centre` puts it in the
    middle (YOLOv5), else top left (YOLOX)."""
    height, width = size
    canvas = np.full((height, width, 3), value, np.uint8)
    last = [0, 0, 0, 0]

    def move(array: Array, geometry: Geometry) -> Tuple[Array, Geometry]:
        wide, tall = image.fit((array.shape[1], array.shape[0]), (width, height), scale_up)
        left, top = boxes.centred((width, height), (wide, tall)) if centre else (0, 0)
        if [left, top, wide, tall] != last:
            canvas.fill(value)
            last[:] = [left, top, wide, tall]
        scale_x, scale_y = wide / array.shape[1], tall / array.shape[0]
        image.resize(array, wide, tall, out=canvas[top : top + tall, left : left + wide])
        return canvas, _scaled(geometry, scale_x, scale_y, left, top)

    return move


def resize(size: Sequence[int], keep_ratio: bool = False) -> Move:
    """To `size` [h, w]; with `keep_ratio` the image keeps its shape and covers `size` (a centre crop follows)."""
    height, width = size

    def move(array: Array, geometry: Geometry) -> Tuple[Array, Geometry]:
        tall, wide = height, width
        if keep_ratio:
            ratio = max(width / array.shape[1], height / array.shape[0])
            wide, tall = max(width, round(array.shape[1] * ratio)), max(height, round(array.shape[0] * ratio))
        scale_x, scale_y = wide / array.shape[1], tall / array.shape[0]
        return image.resize(array, wide, tall), _scaled(geometry, scale_x, scale_y, 0, 0)

    return move


def centre_crop(size: Sequence[int]) -> Move:
    """The middle [h, w]; StepError where the image is smaller."""
    height, width = size

    def move(array: Array, geometry: Geometry) -> Tuple[Array, Geometry]:
        if array.shape[0] < height or array.shape[1] < width:
            raise StepError(
                f"A {array.shape[1]}×{array.shape[0]} image has no middle of {width}×{height}.",
                "Put a resize with keep_ratio before centre_crop.",
            )
        left, top = boxes.centred((array.shape[1], array.shape[0]), (width, height))
        return array[top : top + height, left : left + width], _scaled(geometry, 1, 1, -left, -top)

    return move


def _scaled(geometry: Geometry, scale_x: float, scale_y: float, left: float, top: float) -> Geometry:
    """`geometry` followed by one more scaling and shift."""
    return Geometry(
        geometry.width,
        geometry.height,
        geometry.scale_x * scale_x,
        geometry.scale_y * scale_y,
        geometry.left * scale_x + left,
        geometry.top * scale_y + top,
    )


def _planes() -> Move:
    """The same [H, W, C] pixels, in memory plane by plane."""
    kept = _Kept("NCHW")

    def move(array: Array, geometry: Geometry) -> Tuple[Array, Geometry]:
        out = kept.like(array, array.dtype)
        cv2 = image.opencv()
        if cv2 is not None and array.shape[2] == 3:
            cv2.split(array, [out[..., k] for k in range(3)])
        else:
            for k in range(array.shape[2]):  # three strided copies are faster than one transposed one
                np.copyto(out[..., k], array[..., k])
        return out, geometry

    return move


def colour(order: str, layout: str) -> Move:
    """`rgb` (as decoded), `bgr`, or `gray`: one channel of luma by ITU-R BT.601 in 16-bit integers,
    as Pillow's "L" computes it."""
    if order not in ("rgb", "bgr", "gray"):
        raise StepError(f"There is no colour order '{order}'.", "Known: rgb, bgr, gray.")
    kept = _Kept(layout)

    def move(array: Array, geometry: Geometry) -> Tuple[Array, Geometry]:
        if order == "bgr":
            return _reversed(array, kept), geometry
        if order == "gray":
            red, green, blue = (array[..., k].astype(np.uint32) for k in range(3))
            luma = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
            return luma.astype(np.uint8)[..., None], geometry
        return array, geometry

    return move


def _reversed(array: Array, kept: _Kept) -> Array:
    """The channels the other way round: a view where memory is planes anyway, else a copy (OpenCV's is
    fifty times faster than numpy's)."""
    cv2 = image.opencv()
    if not array.flags.c_contiguous or array.dtype != np.uint8 or cv2 is None:
        return array[..., ::-1]
    return np.asarray(cv2.cvtColor(array, cv2.COLOR_RGB2BGR, dst=kept.like(array, np.uint8)))


def scale(factor: float, layout: str) -> Move:
    """float32: pixel × factor."""
    factor = np.float32(factor)  # type: ignore[assignment]
    kept = _Kept(layout)

    def move(array: Array, geometry: Geometry) -> Tuple[Array, Geometry]:
        out = kept.like(array, np.float32)
        np.copyto(out, array)  # then in place: faster than one multiplication of mixed types
        return np.multiply(out, factor, out=out), geometry

    return move


def normalise(mean: Sequence[float], std: Sequence[float], layout: str) -> Move:
    """float32: (x − mean) ÷ std per channel, in place after `scale`."""
    centre, spread = np.asarray(mean, np.float32), np.asarray(std, np.float32)
    kept = _Kept(layout)

    def move(array: Array, geometry: Geometry) -> Tuple[Array, Geometry]:
        out = array if array.dtype == np.float32 and array.flags.writeable else kept.like(array, np.float32)
        np.subtract(array, centre, out=out, dtype=np.float32)
        return np.divide(out, spread, out=out), geometry

    return move


def cast(dtype: str, layout: str) -> Move:
    """The same numbers as `dtype`."""
    kept, wanted = _Kept(layout), np.dtype(dtype)

    def move(array: Array, geometry: Geometry) -> Tuple[Array, Geometry]:
        if array.dtype == wanted:
            return array, geometry
        out = kept.like(array, wanted)
        np.copyto(out, array, casting="unsafe")
        return out, geometry

    return move


def layout(to: str) -> Move:
    """Adds the batch axis: [1, C, H, W] or [1, H, W, C]."""
    if to not in ("NCHW", "NHWC"):
        raise StepError(f"There is no layout '{to}'.", "Known: NCHW, NHWC.")

    def move(array: Array, geometry: Geometry) -> Tuple[Array, Geometry]:
        return (array.transpose(2, 0, 1) if to == "NCHW" else array)[None], geometry

    return move


def nv12() -> Move:
    """YUV420SP as camera and video units give it: [1, 1.5·H, W, 1], a plane of luma, then a row of U, V pairs for every
    two rows. BT.601 full range (JPEG, ITU-T T.871), chroma averaged over 2×2 pixels; H and W are even."""
    weights = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)

    def move(array: Array, geometry: Geometry) -> Tuple[Array, Geometry]:
        height, width = array.shape[:2]
        if height % 2 or width % 2:
            raise StepError(f"NV12 needs even sizes, not {width}×{height}.", "Resize to even sizes before it.")
        full = array.astype(np.float32) @ weights.T
        out = np.empty((1, height * 3 // 2, width, 1), np.uint8)
        out[0, :height, :, 0] = np.clip(full[..., 0] + 0.5, 0, 255)
        chroma = full[..., 1:].reshape(height // 2, 2, width // 2, 2, 2).mean(axis=(1, 3))
        out[0, height:, :, 0] = np.clip(chroma + 128.5, 0, 255).reshape(height // 2, width)
        return out, geometry

    return move


class _Kept:
    """An array that is kept from call to call, in memory the way the layout step will want it: [H, W, C]
    pixels that become [1, C, H, W] are written by planes, so that no copy follows."""

    def __init__(self, layout: str) -> None:
        self._planes = layout == "NCHW"
        self._array: Optional[Array] = None

    def like(self, array: Array, dtype: Any) -> Array:
        if self._array is None or self._array.shape != array.shape:
            if self._planes and array.ndim == 3:
                high, wide, channels = array.shape
                self._array = np.empty((channels, high, wide), dtype).transpose(1, 2, 0)
            else:
                self._array = np.empty(array.shape, dtype)
        return self._array


_GEOMETRIC = ("letterbox", "resize", "centre_crop")
_MOVES: Dict[str, Callable[..., Move]] = {
    "letterbox": letterbox,
    "resize": resize,
    "centre_crop": centre_crop,
    "colour": colour,
    "scale": scale,
    "normalise": normalise,
    "cast": cast,
    "layout": layout,
    "nv12": nv12,
}
PREPROCESS = tuple(_MOVES)
POSTPROCESS = (*DECODERS, "nms", "unletterbox", "softmax", "identity", "top_k")


class DetectorPostprocess:
    """Outputs by role → [[class, score, x1, y1, x2, y2], …] in source pixels, best first.

    Steps: one decoder, then `nms {class_wise}` (left out where the graph did it), then `unletterbox`.
    """

    def __init__(self, steps: Sequence[Mapping[str, Any]], thresholds: Mapping[str, float]) -> None:
        by_kind = {step["kind"]: dict(step.get("params") or {}) for step in steps}
        decoder = next((kind for kind in by_kind if kind in DECODERS), None)
        if decoder is None:
            raise StepError("The task has no decoder step.", f"Known: {', '.join(DECODERS)}.")
        self._decode, self._params = DECODERS[decoder], by_kind[decoder]
        self._nms, self._back = by_kind.get("nms"), "unletterbox" in by_kind
        self._thresholds = dict(thresholds)

    def __call__(self, outputs: Mapping[str, Array], geometry: Geometry) -> List[List[Any]]:
        found = self._decode(outputs, self._params, self._thresholds)
        if not len(found.scores):
            return []
        found = boxes.finite(found)
        limit = int(self._thresholds["max_detections"])
        if self._nms is None:
            kept = np.argsort(-found.scores, kind="stable")[:limit]
        else:
            class_wise = bool(self._nms.get("class_wise", True))
            kept = boxes.nms(found, self._thresholds["iou"], limit, class_wise)
        places = found.boxes[kept]
        if self._back:
            places = boxes.to_source(places, geometry)
        return boxes.rows(places, found.scores[kept], found.classes[kept])


class ClassifierPostprocess:
    """Outputs by role → [[class, probability], …], best first, at most `top_k` (5)."""

    def __init__(self, steps: Sequence[Mapping[str, Any]]) -> None:
        by_kind = {step["kind"]: dict(step.get("params") or {}) for step in steps}
        first = next((kind for kind in ("softmax", "identity") if kind in by_kind), None)
        if first is None:
            raise StepError("The task has neither a softmax nor an identity step.", "Add one to task.postprocess.")
        self._softmax, self._role = first == "softmax", by_kind[first]["role"]
        self._count = int(by_kind.get("top_k", {}).get("k", 5))

    def __call__(self, outputs: Mapping[str, Array]) -> List[List[Any]]:
        scores = np.asarray(outputs[self._role], dtype=np.float64).reshape(-1)
        if self._softmax:
            with np.errstate(invalid="ignore", over="ignore"):
                scores = np.exp(scores - scores.max())
                scores /= scores.sum()
        scores = np.where(np.isfinite(scores), scores, -1.0)  # a network gone wrong ranks last, it does not crash
        best = np.argsort(-scores, kind="stable")[: self._count]
        return [[int(k), round(float(scores[k]), 6)] for k in best]
