"""Timelines: msprof_*.json and trace_view.json, Chrome's trace format, event by event.

The file may be larger than memory should hold, so it is decoded one event at a time. Process names tell what an
event is: "Ascend Hardware" ran on the device, "CANN" and "Python" on the host; flows, counters and the profiler's own
"Overlap Analysis" (which repeats the others) are passed over. `ts` is text in some versions and a number in others.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from edgewright.targets.cann.captures.table import check_whole, damaged, nanoseconds
from edgewright.targets.cann.captures.tasks import Task

CHUNK = 1 << 20
MAX_EVENT = 4 << 20
MAX_EVENTS = 5_000_000
MAX_HOST = 20_000
"""Host calls kept; the device's tasks are all kept."""

_PHASES = frozenset("BEXiICbnestfPNODSTpFMVvRc()")
"""Kinds of events of the format; one that is none of them was damaged, and might have been a task."""
HARDWARE, HOST = "Ascend Hardware", ("CANN", "Python")
WAITING_COPIES = ("AscendCL@aclrtMemcpy", "AscendCL@aclrtMemcpy2d")
_DECODER = json.JSONDecoder(parse_float=Decimal)


@dataclass(frozen=True)
class Trace:
    """`host` are calls on the CPU (their `type` is the process); `copies` those among them that copy while the host
    waits, which leave no task on the device; `steps` counts the ProfilerStep marks; `labels` are "NPU 0"…"""

    tasks: tuple[Task, ...]
    host: tuple[Task, ...]
    copies: tuple[Task, ...]
    host_left_out: int
    steps: int
    processes: tuple[str, ...]
    labels: tuple[str, ...]


def read(path: Path, device: str = "") -> Trace:
    """The trace of a file; with `device`, only what ran on that NPU. InputError where the file is cut or no trace."""
    names, labels, timed = _events_of_interest(path)
    tasks: list[Task] = []
    host: list[Task] = []
    copies: list[Task] = []
    left_out = steps = 0
    for event in timed:
        pid = event["pid"]
        if pid is None:
            raise damaged(path, f"the event '{str(event.get('name'))[:60]}' has no process")
        process = names.get(pid, "")
        if process == HARDWARE:
            label = labels.get(pid, "")
            if device and label.startswith("NPU ") and label != f"NPU {device}":
                continue
            tasks.append(_task(path, event, str(event["args"].get("Task Type", ""))))
        elif process in HOST:
            name = str(event.get("name", ""))
            steps += name.startswith("ProfilerStep#")
            if name in WAITING_COPIES:
                copies.append(replace(_task(path, event, "MEMCPY"), stream="copies"))
            if len(host) < MAX_HOST:
                host.append(_task(path, event, process))
            else:
                left_out += 1
    of_hardware = sorted(label for pid, label in labels.items() if names.get(pid) == HARDWARE)
    return Trace(
        tuple(tasks),
        tuple(host),
        tuple(copies),
        left_out,
        steps,
        tuple(sorted(set(names.values()))),
        tuple(dict.fromkeys(of_hardware)),
    )


def is_ascend(path: Path) -> bool:
    """Whether a JSON of any name is a trace with an Ascend device in it; False for every other file."""
    from edgewright.core.errors import InputError

    try:
        names, _, _ = _events_of_interest(path)
    except InputError:
        return False
    return HARDWARE in names.values()


def _events_of_interest(path: Path) -> tuple[dict[Any, str], dict[Any, str], list[Mapping[str, Any]]]:
    """Process names, process labels, and the events with a duration: names may come after the events they name."""
    names: dict[Any, str] = {}
    labels: dict[Any, str] = {}
    timed: list[Mapping[str, Any]] = []
    for event in events(path):
        kind, args = event.get("ph"), event.get("args")
        if not isinstance(args, dict):
            event, args = {**event, "args": {}}, {}
        if not isinstance(event.get("pid", 0), (int, str)):
            raise damaged(path, "an event's process is neither a number nor a name")
        if kind == "M" and event.get("name") == "process_name":
            names[event.get("pid")] = str(args.get("name", ""))
        elif kind == "M" and event.get("name") == "process_labels":
            labels[event.get("pid")] = str(args.get("labels", ""))
        elif kind == "X":
            timed.append({"pid": None, **event})
        elif not isinstance(kind, str) or kind not in _PHASES:
            raise damaged(path, f"the event '{str(event.get('name'))[:60]}' has no known phase")
    return names, labels, timed


def _task(path: Path, event: Mapping[str, Any], kind: str) -> Task:
    start, duration = _ns(event.get("ts")), _ns(event.get("dur"))
    if start is None or duration is None:
        raise damaged(path, f"the event '{str(event.get('name'))[:60]}' has no time")
    args = {str(key).lower(): value for key, value in event["args"].items()}
    stream = args.get("physic stream id", event.get("tid", ""))
    return Task(str(event.get("name", "")), kind, start, duration, str(stream), str(args.get("operation", "")))


def _ns(value: Any) -> int | None:
    if isinstance(value, str):
        return nanoseconds(value)
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)) or not 0 <= value < 10**19:
        return None
    return int(value * 1000)


def events(path: Path) -> Iterator[Mapping[str, Any]]:
    """The events of a bare list, or of the "traceEvents" of an object. InputError where the file is no such thing."""
    check_whole(path)
    with path.open("rb") as stream:
        text = _Text(path, stream)
        opening = text.skip()
        if opening == "{":
            _to_events(text)
        elif opening == "[":
            text.take(1)
        else:
            raise damaged(path, "it is no list of trace events")
        yield from _items(text)
        if opening == "[" and text.skip():
            raise damaged(path, "something follows its end")


def _to_events(text: _Text) -> None:
    """Moves behind the bracket that opens "traceEvents"."""
    text.take(1)
    while text.skip() != "}":
        key = text.value()
        if not isinstance(key, str) or text.skip() != ":":
            raise damaged(text.path, "it is no JSON object")
        text.take(1)
        opening = text.skip()
        if key == "traceEvents":
            if opening != "[":
                raise damaged(text.path, "its traceEvents are no list")
            text.take(1)
            return
        text.value()
        if text.skip() == ",":
            text.take(1)
    raise damaged(text.path, "it has no traceEvents")


def _items(text: _Text) -> Iterator[Mapping[str, Any]]:
    """The objects of a list whose bracket is already read, and its closing bracket."""
    if text.skip() == "]":
        text.take(1)
        return
    for number in range(MAX_EVENTS + 1):
        event = text.value()
        if not isinstance(event, dict):
            raise damaged(text.path, f"its event {number + 1} is no object")
        yield event
        following = text.skip()
        if following not in (",", "]"):
            raise damaged(text.path, f"it was cut after {number + 1} events" if not following else "it is not JSON")
        text.take(1)
        if following == "]":
            return
    raise damaged(text.path, f"it has over {MAX_EVENTS} events")


class _Text:
    """A window over the file's text that grows only as far as one value needs."""

    def __init__(self, path: Path, stream: Any) -> None:
        self.path, self._stream = path, stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._at, self._ended = "", 0, False

    def skip(self) -> str:
        """The next character that is no white space, left unread; "" at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in " \t\r\n":
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def take(self, count: int) -> None:
        self._at += count

    def value(self) -> Any:
        """The next JSON value."""
        self.skip()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except RecursionError:
                raise damaged(self.path, "it is nested too deeply") from None
            except ValueError as error:
                if len(self._text) - self._at > MAX_EVENT:
                    raise damaged(self.path, f"it is not JSON ({error})"[:200]) from None
                if not self._more():
                    raise damaged(self.path, "it was cut, or is not JSON") from None
                continue
            if end < len(self._text) or self._ended:  # a number at the window's edge may go on
                self._at = end
                return value
            self._more()

    def _more(self) -> bool:
        if self._ended:
            return False
        block = self._stream.read(CHUNK)
        self._ended = not block
        try:
            fresh = self._decoder.decode(block, final=self._ended)
        except UnicodeDecodeError:
            raise damaged(self.path, "it holds bytes that are not UTF-8") from None
        self._text, self._at = self._text[self._at :] + fresh, 0
        return bool(block)
