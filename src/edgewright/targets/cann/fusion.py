"""fusion_result.json, which atc leaves beside an .om: which fusion passes took effect, which matched in vain.

Form (GE, fusion_statistic_writer.cc): {"session_and_graph_id_0_0": {"graph_fusion": {"XPass": {"match_times": "1",
"effect_times": "1"}}, "ub_fusion": {"TbeX": {"match_times", "repository_hit_times", "effect_times"}}}}; numbers are
strings. Some versions are said to write a list of such objects (not confirmed): read too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgewright.core.errors import InputError
from edgewright.core.profile import Finding
from edgewright.core.record import Record

LONGEST = 16 << 20
MOST_PASSES = 5_000
REMEDY = "Take fusion_result.json as atc wrote it."


@dataclass(frozen=True)
class Pass(Record):
    """One fusion pass over all graphs: how often its pattern was found, and how often it changed the graph."""

    name: str
    kind: str  # graph_fusion, ub_fusion
    matched: int
    effective: int


def read(text: str) -> tuple[Finding, ...]:
    """Two findings at most: the passes that took effect, and those that matched without effect. InputError for what is
    no such file."""
    found = passes(text)
    effective = [one for one in found if one.effective]
    idle = [one for one in found if one.matched and not one.effective]
    findings = []
    if effective:
        total = sum(one.effective for one in effective)
        findings.append(
            Finding(
                rule="fusion",
                title=f"{len(effective)} fusion passes took effect, {total} times",
                detail=_listed(effective),
                evidence=_evidence(effective),
                remedy="If accuracy is lost, switch passes off one by one (--fusion_switch_file).",
            )
        )
    if idle:
        findings.append(
            Finding(
                rule="fusion-without-effect",
                title=f"{len(idle)} fusion passes matched without effect",
                detail=_listed(idle),
                evidence=_evidence(idle),
                remedy="Nothing is wrong: a pass may find its pattern and still have a reason not to fuse.",
            )
        )
    return tuple(findings)


def passes(text: str) -> tuple[Pass, ...]:
    """Every pass, added up over sessions and graphs, those with most effect first."""
    totals: dict[tuple[str, str], list[int]] = {}
    for graph in _graphs(text):
        for kind in ("graph_fusion", "ub_fusion"):
            rows = graph.get(kind)
            for name, row in list(rows.items())[:MOST_PASSES] if isinstance(rows, Mapping) else ():
                if not isinstance(row, Mapping):
                    raise InputError(f"The entry of {kind} is no object.", REMEDY)
                total = totals.setdefault((_word(name), kind), [0, 0])
                total[0] += _count(row.get("match_times", "0"))
                total[1] += _count(row.get("effect_times", "0"))
    found = [Pass(name, kind, matched, effective) for (name, kind), (matched, effective) in totals.items()]
    return tuple(sorted(found, key=lambda one: (-one.effective, -one.matched, one.name)))


def _graphs(text: str) -> Iterator[Mapping[str, Any]]:
    if len(text) > LONGEST:
        raise InputError("The fusion report is larger than 16 MiB.", REMEDY)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError("The fusion report is no JSON.", REMEDY) from None
    for session in content if isinstance(content, list) else [content]:
        if not isinstance(session, Mapping):
            raise InputError("The fusion report is not of the form that atc writes.", REMEDY)
        own = [session] if {"graph_fusion", "ub_fusion"} & set(session) else session.values()
        for graph in own:
            if not isinstance(graph, (Mapping, str, int)):
                raise InputError("The fusion report is not of the form that atc writes.", REMEDY)
            if isinstance(graph, Mapping):
                yield graph


def _count(value: object) -> int:
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or len(text) > 12:
        raise InputError(f"'{_word(text)}' is no number of times.", REMEDY)
    return int(text)


def _listed(found: list[Pass]) -> str:
    told = [f"{one.name} ({one.effective} of {one.matched})" for one in found[:12]]
    return ", ".join(told) + (f" and {len(found) - 12} more" if len(found) > 12 else "")


def _evidence(found: list[Pass]) -> tuple[Mapping[str, object], ...]:
    return tuple(one.to_json() for one in found[:100])


def _word(text: object) -> str:
    return "".join(c if c.isprintable() else " " for c in str(text))[:120]
