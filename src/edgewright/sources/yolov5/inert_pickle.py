"""Reads a pickle without running it: every name in it becomes a record, never an import.

Python's own unpickler looks names up and calls them. This one is a small machine of ours that knows the instructions
`torch.save` writes (pickle protocols 2 to 5, see pickletools) and has no way to import or call anything: names on the
list below become inert records with their arguments and state, any other name stops the reading and is told.

Bounds: `MAX_BYTES` of pickle; stack, memo and containers cannot outgrow the number of instructions.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from edgewright.core.errors import InputError, UnsafeModelError

MAX_BYTES = 64 << 20
_DAMAGED = "Copy or download the file again; it is cut off or damaged."

_EXACT = frozenset(
    {
        *(f"{home}.{kind}" for home in ("builtins", "__builtin__") for kind in ("set", "frozenset", "bytes")),
        *(f"{home}.slice" for home in ("builtins", "__builtin__")),
        "collections.OrderedDict",
        "collections.defaultdict",
        "_codecs.encode",
        "copyreg._reconstructor",
        "copy_reg._reconstructor",
        "builtins.object",
        "__builtin__.object",
        "argparse.Namespace",
        "datetime.datetime",
        "pathlib.PosixPath",
        "pathlib.WindowsPath",
        "pathlib.PurePosixPath",
        "numpy.ndarray",
        "numpy.dtype",
        *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
        "torch.Size",
        "torch.device",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_parameter_with_state",
        "torch.nn.parameter.Parameter",
        *(
            f"torch.{kind}Storage"
            for kind in ("Half", "BFloat16", "Float", "Double", "Byte", "Char", "Short", "Int", "Long", "Bool")
        ),
        *(
            f"torch.{kind}"
            for kind in (
                "float16",
                "bfloat16",
                "float32",
                "float64",
                "uint8",
                "int8",
                "int16",
                "int32",
                "int64",
                "bool",
            )
        ),
    }
)
_MODULES = ("torch.nn.modules.", "torch.nn.parallel.", "models.", "yolov5.models.")
"""Classes under these become records whatever their name: a YOLOv5 checkpoint names its layers here."""

_FOREIGN = ("ultralytics.", "torchvision.", "timm.", "mmdet.", "mmengine.", "detectron2.", "transformers.", "yolox.")


@dataclass(frozen=True)
class Name:
    """A dotted name the pickle mentions. Nothing stands behind it."""

    dotted: str


@dataclass(eq=False)
class Thing:
    """What an object of the pickle would have been: its class, its arguments and its state."""

    of: str
    arguments: tuple[Any, ...] = ()
    state: dict[Any, Any] = field(default_factory=dict)
    items: list[Any] = field(default_factory=list)


class _Mark:
    pass


_MARK = _Mark()


def read_pickle(data: bytes, persistent: Callable[[Any], Any], *, count: int = 1) -> Any:
    """The value of the last of `count` pickles in a row; `persistent` turns a persistent id into a value.

    Raises UnsafeModelError for a name that is not known to be harmless, InputError for anything malformed.
    """
    if len(data) > MAX_BYTES:
        raise InputError(
            f"The pickle in this file is over {MAX_BYTES >> 20} MiB.", "A checkpoint's pickle is a few MiB."
        )
    machine = _Machine(data, persistent)
    try:
        for _ in range(count):
            value = machine.run()
        return value
    except (IndexError, KeyError, struct.error, UnicodeDecodeError, TypeError, ValueError, OverflowError) as error:
        at = f"at byte {machine.at} ({type(error).__name__})"
        raise InputError(f"The pickle in this file is malformed {at}.", _DAMAGED) from error


class _Machine:
    """The pickle stack machine: `stack`, `memo`, and one method per instruction that is allowed."""

    def __init__(self, data: bytes, persistent: Callable[[Any], Any]) -> None:
        self.data, self.at = data, 0
        self.persistent = persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.copied = 0

    def run(self) -> Any:
        self.memo.clear()
        while True:
            code = self.take(1)
            if code == b".":
                return self.stack.pop()
            step = _INSTRUCTIONS.get(code)
            if step is None:
                raise InputError(f"The pickle uses instruction {code!r}, which torch.save does not write.", _DAMAGED)
            step(self)

    # reading

    def take(self, count: int) -> bytes:
        piece = self.data[self.at : self.at + count]
        if count < 0 or len(piece) != count:
            raise ValueError("cut off")
        self.at += count
        return piece

    def number(self, layout: str) -> int:
        value: int = struct.unpack(layout, self.take(struct.calcsize(layout)))[0]
        return value

    def line(self) -> str:
        end = self.data.index(b"\n", self.at)
        text = self.data[self.at : end].decode()
        self.at = end + 1
        return text

    def since_mark(self) -> list[Any]:
        start = len(self.stack) - 1
        while self.stack[start] is not _MARK:
            start -= 1
            if start < 0:
                raise ValueError("no mark")
        items = self.stack[start + 1 :]
        del self.stack[start:]
        return items

    def spend(self, items: int) -> None:
        """Copies are counted: one list copied a million times would otherwise fill the memory."""
        self.copied += items
        if self.copied > 4 * len(self.data):
            raise ValueError("more copies than content")

    # names and what is made of them

    def name(self, module: Any, name: Any) -> None:
        self.stack.append(_checked_name(f"{module}.{name}"))

    def global_(self) -> None:
        module = self.line()
        self.name(module, self.line())

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("a name that is no text")
        self.name(module, name)

    def instance(self) -> NoReturn:
        module = self.line()
        raise _refusal(f"{module}.{self.line()}")

    def reduce(self) -> None:
        arguments, maker = self.stack.pop(), self.stack.pop()
        if isinstance(arguments, tuple) and arguments and isinstance(arguments[0], (list, tuple)):
            self.spend(len(arguments[0]))
        self.stack.append(_make(maker, arguments))

    def new_object_with_keywords(self) -> None:
        self.stack.pop()
        self.reduce()

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        parts = state if isinstance(state, tuple) else (state,)
        if isinstance(target, Thing):
            for part in parts:
                self.spend(len(part) if isinstance(part, dict) else 1)
                target.state.update(part if isinstance(part, dict) else {"": part})

    def persistent_id(self) -> None:
        self.stack.append(self.persistent(self.stack.pop()))

    # containers

    def set_items(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if isinstance(target, dict):
                target[_key(key)] = value
            elif not isinstance(target, Thing):
                raise ValueError("items set on something else than a dictionary")

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1].items if isinstance(self.stack[-1], Thing) else self.stack[-1]
        if not isinstance(target, list):
            raise ValueError("items appended to something else than a list")
        target.extend(items)

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    def dictionary(self) -> None:
        items = self.since_mark()
        self.stack.append({})
        self.set_items(items)

    def tuple_of(self, count: int) -> None:
        if len(self.stack) < count:
            raise ValueError("stack too short")
        items = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        self.stack.append(items)

    def remember(self, index: int) -> None:
        self.memo[index] = self.stack[-1]


def _checked_name(dotted: str) -> Name:
    if dotted in _EXACT or (dotted.startswith(_MODULES) and dotted.replace(".", "").replace("_", "").isalnum()):
        return Name(dotted)
    if dotted.startswith(_FOREIGN) and dotted.isprintable():
        raise InputError(
            f"This checkpoint is of another family: it holds a {dotted[:120]}.",
            "Export it to ONNX with the code it belongs to (Ultralytics: `yolo export model=… format=onnx`), "
            "then use that file as the source.",
        )
    raise _refusal(dotted)


def _refusal(dotted: str) -> UnsafeModelError:
    shown = "".join(letter if letter.isprintable() else "?" for letter in dotted[:120])
    return UnsafeModelError(
        f"Reading this checkpoint as its author meant would run '{shown}', which no YOLOv5 checkpoint needs; "
        "nothing was run.",
        "Do not load this file with torch; ask its author for an ONNX file or a plain state dict.",
    )


def _make(maker: Any, arguments: Any) -> Any:
    """What calling `maker` would have given, as data."""
    if not isinstance(maker, Name) or not isinstance(arguments, tuple):
        raise ValueError("a call of something that is not a name")
    short = maker.dotted.rsplit(".", 1)[-1]
    if maker.dotted in ("collections.OrderedDict", "collections.defaultdict"):
        pairs = arguments[0] if arguments and isinstance(arguments[0], list) else []
        return {_key(pair[0]): pair[1] for pair in pairs}
    if short in ("set", "frozenset") and len(arguments) <= 1:
        return list(arguments[0]) if arguments else []
    if maker.dotted == "torch.Size":
        return tuple(arguments[0])
    if short in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
        return arguments[0]
    if short == "_reconstructor":
        return Thing(arguments[0].dotted if isinstance(arguments[0], Name) else short)
    return Thing(maker.dotted, arguments)


def _key(value: Any) -> Any:
    """A dictionary key that is cheap to hash: nested tuples could cost time without end."""
    if isinstance(value, tuple) and len(value) <= 8 and all(isinstance(v, (str, int, float)) for v in value):
        return value
    if value is None or isinstance(value, (str, bytes, int, float, Name, Thing)):
        return value
    raise ValueError("a dictionary key that is neither text nor number")


def _push(value: Any) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(value)


def _push_read(read: Callable[[_Machine], Any]) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(read(machine))


def _text(layout: str) -> Callable[[_Machine], None]:
    return _push_read(lambda m: m.take(m.number(layout)).decode("utf-8", "surrogatepass"))


def _bytes(layout: str) -> Callable[[_Machine], None]:
    return _push_read(lambda m: m.take(m.number(layout)))


def _pop_to_mark(machine: _Machine) -> None:
    machine.since_mark()


_INSTRUCTIONS: dict[bytes, Callable[[_Machine], Any]] = {
    b"\x80": lambda m: m.take(1),  # PROTO
    b"\x95": lambda m: m.take(8),  # FRAME
    b"(": _push(_MARK),
    b"0": lambda m: m.stack.pop(),
    b"1": _pop_to_mark,
    b"2": lambda m: m.stack.append(m.stack[-1]),
    b"N": _push(None),
    b"\x88": _push(True),
    b"\x89": _push(False),
    b"J": _push_read(lambda m: m.number("<i")),
    b"K": _push_read(lambda m: m.number("<B")),
    b"M": _push_read(lambda m: m.number("<H")),
    b"\x8a": _push_read(lambda m: int.from_bytes(m.take(m.number("<B")), "little", signed=True)),
    b"G": _push_read(lambda m: m.number(">d")),
    b"X": _text("<I"),
    b"\x8c": _text("<B"),
    b"\x8d": _text("<Q"),
    b"B": _bytes("<I"),
    b"C": _bytes("<B"),
    b"\x8e": _bytes("<Q"),
    b"T": _bytes("<I"),  # BINSTRING and SHORT_BINSTRING: Python 2's str
    b"U": _bytes("<B"),
    b"]": lambda m: m.stack.append([]),
    b"}": lambda m: m.stack.append({}),
    b")": _push(()),
    b"\x8f": lambda m: m.stack.append([]),  # EMPTY_SET
    b"l": lambda m: m.stack.append(m.since_mark()),
    b"d": lambda m: m.dictionary(),
    b"t": lambda m: m.stack.append(tuple(m.since_mark())),
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    b"a": lambda m: m.append([m.stack.pop()]),
    b"e": lambda m: m.append(m.since_mark()),
    b"\x90": lambda m: m.append(m.since_mark()),  # ADDITEMS
    b"\x91": lambda m: m.stack.append(m.since_mark()),  # FROZENSET
    b"s": lambda m: m.set_item(),
    b"u": lambda m: m.set_items(m.since_mark()),
    b"q": lambda m: m.remember(m.number("<B")),
    b"r": lambda m: m.remember(m.number("<I")),
    b"\x94": lambda m: m.remember(len(m.memo)),
    b"h": lambda m: m.stack.append(m.memo[m.number("<B")]),
    b"j": lambda m: m.stack.append(m.memo[m.number("<I")]),
    b"c": lambda m: m.global_(),
    b"\x93": lambda m: m.stack_global(),
    b"i": lambda m: m.instance(),
    b"R": lambda m: m.reduce(),
    b"\x81": lambda m: m.reduce(),  # NEWOBJ: the same stack, a class and its arguments
    b"\x92": lambda m: m.new_object_with_keywords(),
    b"b": lambda m: m.build(),
    b"Q": lambda m: m.persistent_id(),
}
