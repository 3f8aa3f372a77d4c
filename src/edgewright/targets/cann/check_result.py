"""check_result.json, which atc leaves after a failed parse or a pre-check: which operators it refuses.

Form (GE, pre_checker.cc): {"name", "result": "success|failed", "total", "pass", "fail", "op": [{"name", "type":
"ai.onnx::13::Resize", "result": "failed", "cause": [{"code": 1, "message": "The type is not supported."}]}]}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from edgewright.core.errors import InputError
from edgewright.core.profile import Finding

LONGEST = 16 << 20
MOST_OPERATORS = 10_000


def read(text: str) -> Mapping[str, Any]:
    """The report as a mapping. InputError where it is none or too large."""
    remedy = "Take check_result.json as atc wrote it."
    if len(text) > LONGEST:
        raise InputError("The pre-check report is larger than 16 MiB.", remedy)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError("The pre-check report is no JSON.", remedy) from None
    if not isinstance(content, dict) or not isinstance(content.get("op", []), list):
        raise InputError("The pre-check report has no list of operators.", remedy)
    return content


def refused(report: Mapping[str, Any]) -> tuple[str, ...]:
    """ "name (type): reason" of every operator that atc refuses, as far as the report is well formed."""
    operators = report.get("op", [])
    told = []
    for operator in operators[:MOST_OPERATORS] if isinstance(operators, list) else ():
        if isinstance(operator, Mapping) and operator.get("result") != "success":
            reason = f": {_reason(operator)}" if _reason(operator) else ""
            told.append(f"{_word(operator.get('name'))} ({_word(operator.get('type'))}){reason}")
    return tuple(told)


def findings(report: Mapping[str, Any]) -> tuple[Finding, ...]:
    """One finding for each type of operator that is refused."""
    by_type: dict[str, list[Mapping[str, Any]]] = {}
    operators = report.get("op", [])
    for operator in operators[:MOST_OPERATORS] if isinstance(operators, list) else ():
        if isinstance(operator, Mapping) and operator.get("result") != "success":
            by_type.setdefault(_word(operator.get("type")), []).append(operator)
    return tuple(
        Finding(
            rule="atc-precheck",
            title=f"atc refuses {kind}",
            detail=f"{len(nodes)} operators of type {kind}: {_reason(nodes[0]) or 'no reason given'}",
            severity="error",
            evidence=tuple({"node": _word(node.get("name"))} for node in nodes[:20]),
            remedy="Export at opset 11, replace the operator, or keep that part of the network out of the graph.",
        )
        for kind, nodes in by_type.items()
    )


def _reason(operator: Mapping[str, Any]) -> str:
    causes = operator.get("cause")
    first = causes[0] if isinstance(causes, list) and causes else {}
    return _word(first.get("message")).rstrip(".") if isinstance(first, Mapping) and first.get("message") else ""


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else "?"
    return "".join(c if c.isprintable() else " " for c in text)[:200]
