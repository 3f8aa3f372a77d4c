"""The small tables: the model, the goal, the device, the service. One line a fact; unknown facts are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from edgewright.core.facts import Facts
from edgewright.report import numbers
from edgewright.report.html.candidates import metric_name
from edgewright.report.language import word_or
from edgewright.report.model import RunReport, TargetReport

Words = Callable[..., str]


@dataclass(frozen=True)
class Line:
    """A name and what it is. `code` marks what is written in a fixed-width type (digests, addresses)."""

    name: str
    value: str
    code: bool = False


def model_lines(report: RunReport, t: Words) -> tuple[Line, ...]:
    m = report.model
    return _known(
        Line(t("model.source"), m.source),
        Line(t("model.parameters"), numbers.engineering(m.parameters) if m.parameters else ""),
        Line(t("model.flops"), numbers.engineering(m.flops, "FLOP") if m.flops else ""),
        Line(t("model.size"), numbers.byte_size(m.file_bytes) if m.file_bytes else ""),
        Line(t("model.inputs"), "\n".join(m.inputs)),
        Line(t("model.outputs"), "\n".join(m.outputs)),
        Line(t("model.labels"), str(m.labels) if m.labels else ""),
    )


def goal_lines(report: RunReport, t: Words, lang: str) -> tuple[Line, ...]:
    return _known(*(line for key, value in report.goal.items() for line in _goal(key, value, t, lang)))


def device_lines(facts: Facts, t: Words) -> tuple[Line, ...]:
    peaks = ", ".join(
        f"{name} {numbers.figure(peak)} {'GOP/s' if name.startswith('int') else 'GFLOP/s'}"
        for name, peak in facts.peaks.items()
    )
    return _known(
        Line(t("device.device"), facts.device),
        Line(t("device.board"), facts.board),
        Line(t("device.family"), facts.family),
        Line(t("device.processor"), " · ".join(filter(None, (facts.processor, facts.machine)))),
        Line(t("device.cores"), t("device.cores_value", cores=facts.cores, threads=facts.threads)),
        Line(t("device.memory"), numbers.byte_size(facts.memory) if facts.memory else ""),
        Line(t("device.peaks"), peaks),
        Line(t("device.bandwidth"), f"{numbers.figure(facts.bandwidth)} GB/s" if facts.bandwidth else ""),
        Line(t("device.isa"), ", ".join(facts.isa)),
        Line(t("device.runtimes"), ", ".join(f"{name} {version}" for name, version in facts.runtimes.items())),
        Line(t("device.python"), ", ".join(filter(None, (facts.python, facts.libc)))),
        Line(t("device.system"), facts.system),
        Line(t("device.disk"), numbers.byte_size(facts.disk_free) if facts.disk_free else ""),
    )


def service_lines(target: TargetReport, t: Words) -> tuple[Line, ...]:
    release = target.release
    if release is None:
        return ()
    return _known(
        Line(t("service.state"), release.state),
        Line(t("service.url"), release.url, code=True),
        Line(t("service.release"), str(release.number)),
        Line(t("device.device"), release.device),
        Line(t("service.bundle"), numbers.byte_size(release.bundle_bytes) if release.bundle_bytes else ""),
        Line(t("service.digest"), release.digest, code=True),
    )


def _goal(key: str, value: object, t: Words, lang: str) -> Iterable[Line]:
    name = word_or(lang, f"goal.{key}", key)
    if isinstance(value, Mapping):
        for metric, points in value.items():
            yield Line(f"{name}, {metric_name(str(metric), lang)}", t("points", value=points))
    elif key.endswith("_ms"):
        yield Line(name, f"{value:g} ms" if isinstance(value, int | float) else str(value))
    elif key.endswith("_mb"):
        yield Line(name, f"{value:g} MiB" if isinstance(value, int | float) else str(value))
    elif key == "throughput":
        yield Line(name, t("per_second", value=value))
    else:
        yield Line(name, word_or(lang, f"goal_value.{value}", str(value)))


def _known(*lines: Line) -> tuple[Line, ...]:
    return tuple(line for line in lines if line.value)
