"""Steps that the configuration sets (`task.preprocess`, `task.postprocess`), checked against the vocabulary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgewright.core.errors import ConfigError
from edgewright.core.model import Step
from edgewright.core.plugs import did_you_mean


def configured_steps(given: Sequence[Mapping[str, Any]] | None, known: Sequence[str], key: str) -> tuple[Step, ...]:
    """Steps from the configuration: `{kind: {params}}` or `{kind: …, params: {…}}`. ConfigError for a foreign one."""
    steps = []
    for entry in given or ():
        if "kind" in entry:
            kind, params = entry["kind"], entry.get("params") or {}
        elif len(entry) == 1:
            kind, params = next(iter(entry.items()))
        else:
            raise ConfigError(
                f"task.{key} has an entry of {len(entry)} keys.", "Write `- letterbox: {size: [640, 640]}`."
            )
        if kind not in known:
            raise ConfigError(f"task.{key} names an unknown step '{kind}'.", did_you_mean(str(kind), tuple(known)))
        steps.append(Step(kind, dict(params or {})))
    return tuple(steps)
