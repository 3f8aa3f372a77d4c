"""The shapes an .om was converted for, and choosing one of them before a run by the shapes of what is fed.

An .om with gears has an input more, `ascend_mbatch_shape_data`; the library writes the choice into its buffer. Without
a choice a device takes the largest gear, so it is made before every run.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, List, Sequence, Tuple

from edgewright.device.acl import AclError, Batches, ImageSizes, IODims, Library

if TYPE_CHECKING:
    from edgewright.device.acl_model import Tensor

ALL = ctypes.c_size_t(-1).value
"""The index that means "of the whole model" (acl_mdl.h)."""
MOST_GEARS = 128


class Gears(object):
    """`kind` is "batch", "image", "dims" or ""; `keys` the gears: (n,), (h, w), or all dims of all inputs in a row."""

    def __init__(self, library: Library, desc: ctypes.c_void_p, model: int, index: int) -> None:
        self._library, self._desc, self._model, self._index = library, desc, model, index
        self.kind, self.keys = self._found()

    def choose(self, inputs: Sequence["Tensor"], feeds: Sequence[Any], dataset: ctypes.c_void_p) -> None:
        """Sets the gear that the fed shapes ask for. Raises AclError where the model has none like it."""
        if not self.kind:
            return
        key = self._asked(inputs, [tuple(feed.shape) for feed in feeds])
        if self.kind == "batch":
            self._library.call("aclmdlSetDynamicBatchSize", self._model, dataset, self._index, key[0])
        elif self.kind == "image":
            self._library.call("aclmdlSetDynamicHWSize", self._model, dataset, self._index, key[0], key[1])
        else:
            dims = IODims(count=len(key))
            dims.dims[: len(key)] = key
            self._library.call("aclmdlSetInputDynamicDims", self._model, dataset, self._index, ctypes.byref(dims))

    def shapes(self, inputs: Sequence["Tensor"], which: int = -1) -> List[Tuple[int, ...]]:
        """Shapes to feed for one gear (the last unless told), in the inputs' order."""
        if not self.kind:
            return [tuple(n or 1 for n in tensor.shape) for tensor in inputs]
        left = list(self.keys[which])
        if self.kind == "dims":
            shapes = []
            for tensor in inputs:
                shapes.append(tuple(left[: len(tensor.shape)]))
                left = left[len(tensor.shape) :]
            return shapes
        return [_filled(tensor, left) for tensor in inputs]

    def _asked(self, inputs: Sequence["Tensor"], shapes: Sequence[Tuple[int, ...]]) -> Tuple[int, ...]:
        """The key of the gear whose shapes these are."""
        for which, key in enumerate(self.keys):
            if self.shapes(inputs, which) == list(shapes):
                return key
        told = "; ".join(",".join(map(str, key)) for key in self.keys)
        raise AclError(
            "The model has no gear for inputs of shape %s." % ", ".join(str(list(shape)) for shape in shapes),
            "Feed one of the gears it was converted with (%s: %s), or convert it with this one." % (self.kind, told),
        )

    def _found(self) -> Tuple[str, List[Tuple[int, ...]]]:
        call, count = self._library.call, ctypes.c_size_t()
        batches, sizes = Batches(), ImageSizes()
        call("aclmdlGetDynamicBatch", self._desc, ctypes.byref(batches))
        if batches.count:
            return "batch", sorted((int(n),) for n in batches.batch[: batches.count])
        call("aclmdlGetDynamicHW", self._desc, ALL, ctypes.byref(sizes))
        if sizes.count:
            return "image", sorted((int(h), int(w)) for h, w in sizes.hw[: sizes.count])
        call("aclmdlGetInputDynamicGearCount", self._desc, ALL, ctypes.byref(count))
        if not 0 < count.value <= MOST_GEARS:
            raise AclError("The model's gears cannot be read.", "Convert it again.")
        dims = (IODims * count.value)()
        call("aclmdlGetInputDynamicDims", self._desc, ALL, dims, count.value)
        return "dims", [tuple(int(n) for n in one.dims[: one.count]) for one in dims]


class _None(Gears):
    def __init__(self) -> None:
        self.kind, self.keys = "", []


def no_gears() -> Gears:
    """Those of a model with fixed shapes."""
    return _None()


def _filled(tensor: "Tensor", key: Sequence[int]) -> Tuple[int, ...]:
    """The shape with its open dimensions set in order; of a YUV420SP picture the rows of bytes."""
    left = list(key)
    if tensor.yuv420 and tensor.shape[1] is None and left:
        left[0] = left[0] * 3 // 2
    return tuple(left.pop(0) if n is None and left else int(n or 1) for n in tensor.shape)
