"""An .om on a device: its ports, the memory of its inputs and outputs, its gears, its runs.

Memory is made once and used by every run. In run mode device the arrays that are written and read *are* the model's
memory; in run mode host they are pinned memory beside it, and each run copies.
"""

from __future__ import annotations

import ctypes
import os
import time
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from edgewright.device.acl import AIPP_INPUT, GEAR_INPUT, TO_DEVICE, TO_HOST, AclError, IODims
from edgewright.device.acl_device import Device
from edgewright.device.acl_gears import Gears, no_gears

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

_DTYPES = {  # aclDataType
    0: "float32", 1: "float16", 2: "int8", 3: "int32", 4: "uint8", 6: "int16", 7: "uint16", 8: "uint32", 9: "int64",
    10: "uint64", 11: "float64", 12: "bool", 27: "bfloat16",
}  # fmt: skip
_BFLOAT16 = "bfloat16"
HUGE_FIRST = 0
YUV420SP = 1
AIPP_INFO_BYTES = 1 << 20
"""Room for an aclAippInfo (299 KiB in CANN 8 and 9), of which only the first field, the format, is read."""


class Tensor(object):
    """One input or output: `shape` has None where a gear decides, `bytes` is what the largest gear takes."""

    def __init__(self, index: int, name: str, dtype: str, shape: Sequence[Optional[int]], size: int) -> None:
        self.index, self.name, self.dtype, self.shape, self.bytes = index, name, dtype, list(shape), size
        self.yuv420 = False
        self.device = ctypes.c_void_p()
        self.host = ctypes.c_void_p()
        self._raw: Array = np.empty(0, np.uint8)
        self._views: Dict[Tuple[int, ...], Array] = {}

    def bind(self, address: int) -> None:
        """The memory that this program writes and reads."""
        self._raw = np.ctypeslib.as_array((ctypes.c_uint8 * self.bytes).from_address(address))

    def view(self, shape: Tuple[int, ...]) -> Array:
        """The first bytes of the memory as an array of this shape; bfloat16 shows as its 16 bits."""
        found = self._views.get(shape)
        if found is None:
            kind = np.dtype("uint16" if self.dtype == _BFLOAT16 else self.dtype)
            size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
            if size > self.bytes:
                raise AclError(
                    "The tensor %s of shape %s does not fit into its %d bytes." % (self.name, list(shape), self.bytes),
                    "Convert the model again, with a gear for this shape.",
                )
            found = self._views[shape] = self._raw[:size].view(kind).reshape(shape)
        return found


class Model(object):
    """A loaded .om with everything it needs to run; all of it is released by its device's `close`."""

    def __init__(self, device: Device, path: str) -> None:
        self._device, self._library, self._path = device, device.library, path
        self.work_bytes, self.weight_bytes = self._sizes()
        self._desc = ctypes.c_void_p(self._made("aclmdlCreateDesc"))
        device.on_release("aclmdlDestroyDesc", self._desc)
        self.id = self._load()
        device.on_release("aclmdlUnload", self.id)
        self._library.call("aclmdlGetDesc", self._desc, self.id)
        everything = self._tensors("Input")
        self.outputs = self._tensors("Output")
        self.inputs = [tensor for tensor in everything if not tensor.name.startswith((GEAR_INPUT, AIPP_INPUT))]
        self._refuse_dynamic_aipp(everything)
        for tensor in self.inputs:
            tensor.yuv420 = self._aipp_format(tensor) == YUV420SP
        self.buffer_bytes = 0
        for tensor in everything + self.outputs:
            self._allocate(tensor)
        self._input, self._output = self._dataset(everything), self._dataset(self.outputs)
        chosen = [tensor for tensor in everything if tensor.name == GEAR_INPUT]
        self.gears = Gears(self._library, self._desc, self.id, chosen[0].index) if chosen else no_gears()
        self._plain: Dict[Tuple[str, Tuple[int, ...]], Array] = {}
        self.phases = {"host_to_device": 0.0, "execute": 0.0, "device_to_host": 0.0}

    def run(self, feeds: Sequence["Array"]) -> List["Array"]:
        """Inputs in the model's order → outputs in the model's order; floats as float32, the memory is reused."""
        started = time.perf_counter()
        self.gears.choose(self.inputs, feeds, self._input)
        for tensor, feed in zip(self.inputs, feeds):
            self._write(tensor, feed)
        written = time.perf_counter()
        self._library.call("aclmdlExecute", self.id, self._input, self._output)
        executed = time.perf_counter()
        results = [self._read(tensor) for tensor in self.outputs]
        ended = time.perf_counter()
        micros = ((written - started) * 1e6, (executed - written) * 1e6, (ended - executed) * 1e6)
        self.phases = dict(zip(("host_to_device", "execute", "device_to_host"), micros))
        return results

    def _write(self, tensor: Tensor, feed: "Array") -> None:
        view = tensor.view(feed.shape)
        if view.ctypes.data != feed.ctypes.data or view.strides != feed.strides:
            np.copyto(view, feed, casting="same_kind")
        if tensor.host:
            self._library.call("aclrtMemcpy", tensor.device, tensor.bytes, tensor.host, view.nbytes, TO_DEVICE)

    def _read(self, tensor: Tensor) -> "Array":
        view = tensor.view(self._shape_now(tensor))
        if tensor.host:
            self._library.call("aclrtMemcpy", tensor.host, tensor.bytes, tensor.device, view.nbytes, TO_HOST)
        if tensor.dtype not in ("float16", "float64", _BFLOAT16):
            return view
        plain = self._plain.get((tensor.name, view.shape))
        if plain is None:
            plain = self._plain[tensor.name, view.shape] = np.empty(view.shape, np.float32)
        if tensor.dtype == _BFLOAT16:  # the upper half of a float32
            plain.view(np.uint32)[...] = view.astype(np.uint32) << 16
        else:
            np.copyto(plain, view, casting="same_kind")
        return plain

    def _shape_now(self, tensor: Tensor) -> Tuple[int, ...]:
        if self.gears.kind == "":
            return tuple(n or 0 for n in tensor.shape)
        dims = IODims()
        self._library.call("aclmdlGetCurOutputDims", self._desc, tensor.index, ctypes.byref(dims))
        return tuple(dims.dims[: dims.count])

    def _sizes(self) -> Tuple[int, int]:
        """Bytes of working memory and of weights."""
        work, weight = ctypes.c_size_t(), ctypes.c_size_t()
        arguments = os.fsencode(self._path), ctypes.byref(work), ctypes.byref(weight)
        code = self._library.code("aclmdlQuerySize", *arguments)
        if code:
            raise self._library.error("aclmdlQuerySize", code, self._path)
        return work.value, weight.value

    def _load(self) -> int:
        model = ctypes.c_uint32()
        code = self._library.code("aclmdlLoadFromFile", os.fsencode(self._path), ctypes.byref(model))
        if code:
            raise self._library.error("aclmdlLoadFromFile", code, self._path)
        return model.value

    def _made(self, name: str, *arguments: Any) -> int:
        made = self._library.value(name, *arguments)
        if not made:
            raise self._library.error(name, -1)
        return int(made)

    def _tensors(self, side: str) -> List[Tensor]:
        """Every tensor of one side ("Input" or "Output") as the library describes it, those of gears and AIPP too."""
        value, found = self._library.value, []
        for index in range(value("aclmdlGetNum%ss" % side, self._desc)):
            name = value("aclmdlGet%sNameByIndex" % side, self._desc, index) or b""
            if name and self._library.has("aclmdlGetTensorRealName"):  # long names are replaced by others
                name = value("aclmdlGetTensorRealName", self._desc, name) or name
            kind = value("aclmdlGet%sDataType" % side, self._desc, index)
            size = value("aclmdlGet%sSizeByIndex" % side, self._desc, index)
            words = name.decode("utf-8", "replace")
            if kind not in _DTYPES or not size or (side == "Input" and _DTYPES[kind] == _BFLOAT16):
                raise AclError(
                    "The %s %s of the model has data type %d and %d bytes." % (side.lower(), words, kind, size),
                    "Convert the model with fixed shapes or gears, and inputs of a type that numpy has.",
                )
            found.append(Tensor(index, words, _DTYPES[kind], self._dims(side, index), size))
        return found

    def _dims(self, side: str, index: int) -> List[Optional[int]]:
        """The shape; None for a dimension that gears decide. Of a picture (AIPP) the one whose product is its bytes."""
        dims, call = IODims(), "aclmdlGet%sDims" % side
        if side == "Input" and self._library.has("aclmdlGetInputDimsV2"):
            call = "aclmdlGetInputDimsV2"
        self._library.call(call, self._desc, index, ctypes.byref(dims))
        return [int(n) if n >= 0 else None for n in dims.dims[: dims.count]]

    def _refuse_dynamic_aipp(self, tensors: Sequence[Tensor]) -> None:
        if any(tensor.name.startswith(AIPP_INPUT) for tensor in tensors):
            raise AclError(
                "The model was converted with dynamic AIPP, whose settings this engine does not give.",
                "Convert it again with aipp_mode: static.",
            )

    def _aipp_format(self, tensor: Tensor) -> int:
        """aclAippInputFormat of the pictures that static AIPP takes at this input; 0 where it takes none."""
        if tensor.dtype != "uint8" or not self._library.has("aclmdlGetFirstAippInfo"):
            return 0
        info = ctypes.create_string_buffer(AIPP_INFO_BYTES)
        if self._library.code("aclmdlGetFirstAippInfo", self.id, tensor.index, info):
            self._library.value("aclGetRecentErrMsg")  # an answer, not an error: it shall not stand in the next one
            return 0
        return ctypes.c_int32.from_buffer(info).value

    def _allocate(self, tensor: Tensor) -> None:
        self._library.call("aclrtMalloc", ctypes.byref(tensor.device), tensor.bytes, HUGE_FIRST)
        self._device.on_release("aclrtFree", tensor.device)
        self.buffer_bytes += tensor.bytes
        if self._device.host_mode:
            self._library.call("aclrtMallocHost", ctypes.byref(tensor.host), tensor.bytes)
            self._device.on_release("aclrtFreeHost", tensor.host)
        tensor.bind(tensor.host.value or tensor.device.value or 0)

    def _dataset(self, tensors: Sequence[Tensor]) -> ctypes.c_void_p:
        dataset = ctypes.c_void_p(self._made("aclmdlCreateDataset"))
        self._device.on_release("aclmdlDestroyDataset", dataset)
        for tensor in tensors:
            buffer = ctypes.c_void_p(self._made("aclCreateDataBuffer", tensor.device, tensor.bytes))
            self._device.on_release("aclDestroyDataBuffer", buffer)
            self._library.call("aclmdlAddDatasetBuffer", dataset, buffer)
        return dataset


def described(tensors: Sequence[Tensor], names: Sequence[str]) -> List[Mapping[str, Any]]:
    """Ports as an engine shows them: {name, dtype, shape}; half and double floats as the float32 they are given as."""
    floats = ("float16", "float64", _BFLOAT16)
    return [
        {"name": name, "dtype": "float32" if tensor.dtype in floats else tensor.dtype, "shape": list(tensor.shape)}
        for tensor, name in zip(tensors, names)
    ]
