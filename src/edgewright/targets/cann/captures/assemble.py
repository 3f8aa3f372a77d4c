"""One capture's files on one device → one Profile, and what it cannot tell, as notes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from edgewright.core.profile import MemoryPoint, Operator, Profile, Span
from edgewright.targets.cann.captures import kernels, memory, statistics, steps, tasks, trace
from edgewright.targets.cann.captures.groups import Capture
from edgewright.targets.cann.captures.support import unsupported
from edgewright.targets.cann.captures.table import Table, damaged
from edgewright.targets.cann.captures.tasks import Task

MAX_SPANS = 100_000
T = TypeVar("T")


@dataclass
class _Told:
    """What each file of the capture told; empty where it is not there."""

    kernels: kernels.Kernels | None = None
    totals: list[statistics.Totals] = field(default_factory=list)
    calls: list[tuple[statistics.HostCall, ...]] = field(default_factory=list)
    details: list[statistics.HostOperators] = field(default_factory=list)
    tasks: list[tuple[Task, ...]] = field(default_factory=list)
    steps: list[steps.Steps] = field(default_factory=list)
    memory: list[memory.Memory] = field(default_factory=list)
    traces: list[trace.Trace] = field(default_factory=list)


def assemble(capture: Capture, device: str) -> Profile:
    """The capture's Profile on a device ("" where its files name none). InputError as the readers raise it."""
    told = _read(capture, device)
    if set(capture.files) == {"timeline"} and not _of_traces(told):
        raise damaged(capture.files["timeline"][0], "it holds no task of an Ascend device")
    iterations, why = _iterations(told)
    ran, source = _tasks(told, iterations)
    operators, of = _operators(told, iterations)
    phases, total, whole = _time(told, ran, operators, iterations)
    origin = _origin(told, ran)
    spans, left_out = _spans(told, ran, origin)
    notes = (
        why,
        of,
        source,
        whole,
        *_checks(told),
        *_remarks(told, left_out),
        *unsupported(
            capture,
            operators=operators,
            timed=bool(ran),
            phases=phases,
            directions=any(task.phase == tasks.TRANSFER for task in ran),
        ),
    )
    return Profile(
        tool=capture.tool,
        device=f"NPU {device}, {capture.label}".replace("NPU ,", "NPU,"),
        precision=_precision(operators),
        total_us=total,
        operators=operators,
        timeline=spans,
        memory=_memory(told, origin),
        phases=phases,
        iterations=iterations,
        notes=tuple(note for note in notes if note),
        simulated=capture.simulated or any("simulated" in label for one in told.traces for label in one.labels),
    )


def _same(table: Table) -> Table:
    return table


def _read(capture: Capture, device: str) -> _Told:
    def each(kind: str, reader: Callable[[Table], T]) -> list[T]:
        return [reader(Table(path)) for path in capture.files.get(kind, ())]

    return _Told(
        kernels=kernels.read(rows, device)
        if (rows := each("op_summary", _same) or each("kernel_details", _same))
        else None,
        totals=each("op_statistic", lambda table: statistics.read_op_statistic(table, device)),
        calls=each("api_statistic", statistics.read_api_statistic),
        details=each("operator_details", statistics.read_operator_details),
        tasks=each("task_time", lambda table: tasks.read(table, device)),
        steps=each("step_trace_time", lambda table: steps.read_step_trace_time(table, device))
        + each("step_trace", lambda table: steps.read_step_trace(table, device)),
        memory=each("operator_memory", lambda table: memory.read_operator_memory(table, device))
        + each("memory_record", lambda table: memory.read_memory_record(table, device)),
        traces=[trace.read(path, device) for path in capture.files.get("timeline", ())],
    )


def _iterations(told: _Told) -> tuple[int, str]:
    """How many inferences the capture holds, and a sentence that says how that is known."""
    if told.kernels is not None and told.kernels.reason:
        return told.kernels.steps, f"Figures are of one inference, as means over {told.kernels.reason}."
    marks = [s.count for s in told.steps] + [t.steps for t in told.traces if t.steps]
    often = _often(told)
    if marks and marks[0] > 1 and all(times % marks[0] == 0 for times in often):
        return marks[0], f"Figures are of one inference, as means over {marks[0]} steps of the trace."
    if marks and marks[0] == 1:
        return 1, ""
    return 1, "Figures are sums over the whole capture: its files do not tell how many inferences it holds."


def _often(told: _Told) -> list[int]:
    if told.kernels is not None:
        return list(told.kernels.counts.values())
    if computed := _from_tasks(_of_traces(told) or _of_task_time(told), 1):
        return [operator.calls for operator in computed]
    return [n for totals in told.totals for n in totals.counts.values()]


def _of_traces(told: _Told) -> tuple[Task, ...]:
    return tuple(task for one in told.traces for task in one.tasks)


def _of_task_time(told: _Told) -> tuple[Task, ...]:
    return tuple(task for one in told.tasks for task in one)


def _tasks(told: _Told, iterations: int) -> tuple[tuple[Task, ...], str]:
    """What ran on the device, from the file that says most; the runtime's own marks are left out. Where the capture is
    known to hold several inferences, it begins with the first kernel: earlier copies loaded the model."""
    for found, source in (
        (_of_traces(told), "the trace"),
        (_of_task_time(told), "task_time"),
        (told.kernels.tasks if told.kernels else (), "the kernels' start times (copies are not among them)"),
    ):
        ran = tuple(sorted((t for t in found if t.phase), key=lambda t: t.start_ns))
        first = next((t.start_ns for t in ran if t.phase == tasks.COMPUTE), 0)
        if iterations > 1:
            ran = tuple(t for t in ran if t.start_ns >= first)
        if ran:
            copies = _waiting_copies(told, ran)
            said = f"The timeline is from {source}."
            if copies:
                said += " Copies that the host waited for (aclrtMemcpy) are in it, from the first kernel on."
            return tuple(sorted((*ran, *copies), key=lambda task: task.start_ns)), said
    return (), ""


def _waiting_copies(told: _Told, ran: Sequence[Task]) -> tuple[Task, ...]:
    """Those between the first kernel and the last: what was copied before belongs to loading, which is no inference."""
    first, last = ran[0].start_ns, max(task.end_ns for task in ran)
    return tuple(c for one in told.traces for c in one.copies if first <= c.start_ns and c.end_ns <= last)


def _operators(told: _Told, iterations: int) -> tuple[tuple[Operator, ...], str]:
    """The operators per inference, from the file that says most of them."""
    if told.kernels is not None:
        by = told.kernels.steps
        return tuple(_scaled(operator, by, iterations) for operator in told.kernels.operators), ""
    if computed := _from_tasks(_of_traces(told) or _of_task_time(told), iterations):
        return computed, "Operators are the timeline's kernels: their types are taken from their names."
    if told.totals:
        found = [o for totals in told.totals for o in totals.operators]
        return tuple(_scaled(o, 1, iterations) for o in found), "Operators are sums by type, from op_statistic."
    found = [o for details in told.details for o in details.operators]
    note = "Operators are PyTorch's own, from operator_details." if found else ""
    return tuple(_scaled(o, 1, iterations) for o in found), note


def _scaled(operator: Operator, by: int, iterations: int) -> Operator:
    """An operator whose figures are means over `by`, as means over `iterations`."""
    if by == iterations:
        return operator
    part = by / iterations
    return replace(
        operator,
        duration_us=operator.duration_us * part,
        calls=max(1, round(operator.calls * part)),
        flops=operator.flops * part,
        bytes=operator.bytes * part,
    )


def _from_tasks(ran: Sequence[Task], iterations: int) -> tuple[Operator, ...]:
    """Kernels of a trace as operators; in the order of their first start."""
    spent: dict[tuple[str, str], list[int]] = defaultdict(list)
    for task in ran:
        if task.phase == tasks.COMPUTE:
            spent[task.name, task.type].append(task.duration_ns)
    return tuple(
        Operator(name, _type_of(name), sum(each) / 1e3 / iterations, max(1, round(len(each) / iterations)), kernel=core)
        for (name, core), each in spent.items()
    )


def _type_of(name: str) -> str:
    """`aclnnAdd_AddAiCore_Add` ends with its type; other kernels are called as their maker pleased."""
    return name.rsplit("_", 1)[-1] if name.startswith("aclnn") and "_" in name else name


def _time(
    told: _Told, ran: Sequence[Task], operators: Sequence[Operator], iterations: int
) -> tuple[dict[str, float], float, str]:
    """Phases and the whole of one inference, µs: a partition either way, from the tasks or from the step's own sums."""
    measured = next((s for s in told.steps if s.parts), None)
    divided = tasks.divide(ran)
    if measured is not None and (divided is None or steps.COMMUNICATION in measured.parts):
        return measured.parts, measured.total_us, "Phases are step_trace_time's; copies are not told from idle time."
    if divided is not None:
        parts = {phase: length / 1e3 / iterations for phase, length in divided.parts.items()}
        return parts, divided.extent / 1e3 / iterations, ""
    total = next((s.total_us for s in told.steps), sum(operator.duration_us for operator in operators))
    return {}, total, ""


def _origin(told: _Told, ran: Sequence[Task]) -> int:
    starts = [task.start_ns for task in ran[:1]]
    starts += [min(call.start_ns for call in one.host) for one in told.traces if one.host]
    starts += [min(point.time_ns for point in one.held) for one in told.memory if one.held]
    return min(starts, default=0)


def _spans(told: _Told, ran: Sequence[Task], origin: int) -> tuple[tuple[Span, ...], int]:
    """Device tasks on a track for each stream, the host's calls on tracks that begin with "host"."""
    of_host = [(call, f"host {call.type} {call.stream}") for one in told.traces for call in one.host]
    everything = [(task, f"stream {task.stream}") for task in ran[:MAX_SPANS]] + of_host
    spans = tuple(
        Span(task.name, task.phase or task.type, (task.start_ns - origin) / 1e3, task.duration_ns / 1e3, track)
        for task, track in sorted(everything, key=lambda pair: pair[0].start_ns)
    )
    return spans, max(0, len(ran) - MAX_SPANS)


def _memory(told: _Told, origin: int) -> tuple[MemoryPoint, ...]:
    held = sorted((p for one in told.memory for p in one.held), key=lambda p: p.time_ns)
    return tuple(MemoryPoint((p.time_ns - origin) / 1e3, p.bytes, p.owner) for p in held)


def _precision(operators: Sequence[Operator]) -> str:
    """What most of the time was computed in; "" where no file says."""
    spent: dict[str, float] = defaultdict(float)
    for operator in operators:
        if operator.dtype:
            spent[operator.dtype] += operator.duration_us
    return max(spent, key=lambda dtype: (spent[dtype], dtype), default="")


def _checks(told: _Told) -> Iterator[str]:
    """The profiler counted twice; where the counts differ, rows are missing from one of the files."""
    if told.kernels is None or not told.totals:
        return
    counted: dict[str, int] = defaultdict(int)
    for totals in told.totals:
        for kind, n in totals.counts.items():
            counted[kind] += n
    differing = sorted(k for k in {*counted, *told.kernels.counts} if counted.get(k) != told.kernels.counts.get(k))
    for kind in differing[:3]:
        yield (
            f"op_statistic counts {counted.get(kind, 0)} of {kind}, the rows of kernels "
            f"{told.kernels.counts.get(kind, 0)}: one of the two files is not whole."
        )
    if len(differing) > 3:
        yield f"{len(differing) - 3} more types are counted differently."


def _remarks(told: _Told, left_out: int) -> Iterator[str]:
    for calls in told.calls:
        slowest = ", ".join(f"{call.name} {call.total_us / 1e3:.3g} ms in {call.calls}" for call in calls[:3])
        yield f"The host's longest calls: {slowest}."
    for details in told.details:
        yield f"PyTorch's own work on the host took {details.host_us / 1e3:.3g} ms in all."
    if peak := max((one.peak_reserved for one in told.memory), default=0):
        yield f"At most {peak / memory.MIB:.1f} MiB were reserved."
    if left_out:
        yield f"The timeline keeps the first {MAX_SPANS} tasks; {left_out} more count in the phases only."
    if host := sum(one.host_left_out for one in told.traces):
        yield f"{host} more calls of the host are left out of the timeline."
    if points := sum(one.left_out for one in told.memory):
        yield f"{points} more points of memory are left out."
