"""The record a page is made of."""

from __future__ import annotations

import json

from edgewright.report import RunReport


def test_a_run_survives_json(run: RunReport) -> None:
    again = RunReport.from_json(json.loads(json.dumps(run.to_json())))
    assert again.to_json() == run.to_json()


def test_the_baseline_is_listed_once_and_first(run: RunReport) -> None:
    names = [v.recipe.name for v in run.targets[0].verdicts()]
    assert names[0] == "planted-base" and len(set(names)) == len(names)
