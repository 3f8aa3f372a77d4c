"""Facts: what was found on one device, and what it was measured to be able to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgewright.core.record import Record


@dataclass(frozen=True)
class Facts(Record):
    """Units: memory and disk in bytes, peaks in GFLOP/s (int8: GOP/s), bandwidth in GB/s.

    `peaks` maps "fp32", "bf16", "fp16", "int8" to what a large matrix product reached with the
    family's own runtime on all cores; a precision that the runtime did not execute is absent.
    `runtimes` maps a distribution's name to its version. `simulated` marks a stand-in. `accelerator` is what a family
    found of its chip ({"chip", "soc_version", "run_mode", "memory" …}; empty for CPUs). `environment` holds the
    variables that its programs need and that no login shell sets for a service.
    """

    device: str
    family: str
    system: str = ""
    machine: str = ""
    processor: str = ""
    cores: int = 1
    threads: int = 1
    memory: int = 0
    disk_free: int = 0
    isa: tuple[str, ...] = ()
    python: str = ""
    libc: str = ""
    runtimes: Mapping[str, str] = field(default_factory=dict)
    peaks: Mapping[str, float] = field(default_factory=dict)
    bandwidth: float = 0.0
    board: str = ""
    simulated: bool = False
    accelerator: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Check(Record):
    """One line of `doctor`: ok, or what is wrong and its remedy."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    required: bool = True
