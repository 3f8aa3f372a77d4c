"""One profile schema for every profiler: operators, timeline, memory, phases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgewright.core.record import Record


@dataclass(frozen=True)
class Operator(Record):
    """One operator of the graph, as executed. Times are microseconds per inference (mean).

    `flops` and `bytes` are per inference, from shapes; 0 where not known. `dtype` is the precision
    it executed in. `efficiency` is achieved ÷ attainable by the roofline model (Williams et al.,
    2009: min(peak, intensity × bandwidth)); nan where it cannot be known. `nodes` are the graph
    nodes fused into it. `counters` are what the device's own counters said, by name, as fractions of the
    operator's time: mac_ratio, vec_ratio, mte2_ratio (Ascend's pipes); empty where nothing counted.
    """

    name: str
    type: str
    duration_us: float
    calls: int = 1
    inputs: tuple[tuple[int, ...], ...] = ()
    outputs: tuple[tuple[int, ...], ...] = ()
    dtype: str = ""
    flops: float = 0.0
    bytes: float = 0.0
    share: float = 0.0
    efficiency: float = float("nan")
    bound: str = ""
    kernel: str = ""
    nodes: tuple[str, ...] = ()
    counters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Span(Record):
    """One event of the timeline, microseconds from the start of one inference."""

    name: str
    category: str
    start_us: float
    duration_us: float
    track: str = "compute"


@dataclass(frozen=True)
class MemoryPoint(Record):
    """Bytes held at a moment, with who holds them (an operator, "weights", "runtime")."""

    time_us: float
    bytes: int
    owner: str = ""


@dataclass(frozen=True)
class Profile(Record):
    """`tool` is who measured (torch, onnxruntime, openvino, msprof, torch_npu). `phases` maps
    preprocess, host_to_device, compute, device_to_host, postprocess, idle to microseconds; imported captures also
    know communication (between devices) and transfer (a copy whose direction was not recorded). Tracks of the
    timeline that begin with "host" are calls on the CPU, beside the device."""

    tool: str
    device: str
    precision: str
    total_us: float
    operators: tuple[Operator, ...]
    timeline: tuple[Span, ...] = ()
    memory: tuple[MemoryPoint, ...] = ()
    phases: Mapping[str, float] = field(default_factory=dict)
    iterations: int = 1
    notes: tuple[str, ...] = ()
    simulated: bool = False


@dataclass(frozen=True)
class Finding(Record):
    """What a profile, a dataset or a graph shows. `share` is the fraction of time it concerns,
    `argues_for` names what it speaks for ("int8", "fold-preprocess", "split-head", …)."""

    rule: str
    title: str
    detail: str
    severity: str = "info"
    share: float = 0.0
    evidence: tuple[Mapping[str, object], ...] = ()
    argues_for: tuple[str, ...] = ()
    remedy: str = ""
