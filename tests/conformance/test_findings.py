"""Every rule found in the findings room keeps the contract: it fires where planted, is silent where not, and says why.

A new rule needs `tests/findings/planted/<rule>.py` with `fires()` and `silent()`, each giving (Profile, Facts), and as
many `fires_…()` and `silent_…()` as it has ways to see; a rule
from another wheel carries the two itself.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from edgewright import findings
from edgewright.core.contracts import Rule
from edgewright.core.facts import Facts
from edgewright.core.profile import Finding, Operator, Profile
from edgewright.core.roofline import annotate

PLANTED = Path(__file__).parent.parent / "findings" / "planted"
RULES = findings.rules()


def planted(rule: Rule) -> ModuleType | Rule:
    if hasattr(rule, "fires") and hasattr(rule, "silent"):
        return rule
    path = PLANTED / f"{rule.name}.py"
    assert path.is_file(), (
        f"the rule '{rule.name}' has no planted profiles: write tests/findings/planted/{rule.name}.py"
    )
    spec = importlib.util.spec_from_file_location(f"planted_{rule.name}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cases(rule: Rule, outcome: str) -> list[tuple[Profile, Facts]]:
    """What `fires()` and every `fires_…()` (or `silent`) of the rule give."""
    source = planted(rule)
    named = sorted(name for name in dir(source) if name == outcome or name.startswith(f"{outcome}_"))
    return [getattr(source, name)() for name in named]


def found_where_it_fires(rule: Rule) -> list[Finding]:
    return [finding for case in cases(rule, "fires") for finding in seen_by(rule, *case)]


def seen_by(rule: Rule, profile: Profile, facts: Facts) -> list[Finding]:
    return list(rule.look(annotate(profile, facts), facts))


@pytest.fixture(params=RULES, ids=lambda rule: rule.name)
def rule(request: pytest.FixtureRequest) -> Rule:
    return request.param


def test_rule_fires_where_it_must(rule: Rule) -> None:
    for case in cases(rule, "fires"):
        assert seen_by(rule, *case), f"{rule.name} is silent on its own planted profile"


def test_rule_is_silent_where_it_must_not_fire(rule: Rule) -> None:
    for case in cases(rule, "silent"):
        assert seen_by(rule, *case) == []


def test_finding_names_its_rule_its_evidence_and_its_remedy(rule: Rule) -> None:
    for finding in found_where_it_fires(rule):
        assert finding.rule == rule.name
        assert finding.title and not finding.title.endswith(".")
        assert finding.detail.endswith(".") and finding.remedy.endswith(".")
        assert finding.severity in ("info", "warning", "error")
        assert 0 < finding.share <= 1 + 1e-9
        assert finding.evidence and finding.argues_for
        assert "nan" not in (finding.title + finding.detail)


def test_finding_survives_json(rule: Rule) -> None:
    for finding in found_where_it_fires(rule):
        assert Finding.from_json(json.loads(json.dumps(finding.to_json()))).title == finding.title


def test_rule_says_what_an_expert_looks_for(rule: Rule) -> None:
    assert rule.__doc__ and len(rule.__doc__.split()) >= 12


@pytest.mark.parametrize(
    "profile",
    [
        Profile("none", "none", "", 0.0, ()),
        Profile("none", "none", "fp32", 0.0, (Operator("a", "Conv", 0.0), Operator("b", "Concat", 0.0))),
        Profile("none", "none", "int8", 5.0, (Operator("a", "Conv", 5.0, inputs=((-1, 3), ()), outputs=((),)),)),
    ],
    ids=["no operators", "no time", "no shapes"],
)
def test_rule_bears_a_profile_that_knows_little(rule: Rule, profile: Profile) -> None:
    seen_by(rule, profile, Facts("none", "none"))


def test_look_sorts_by_share_and_marks_what_is_simulated() -> None:
    profile, facts = planted(next(r for r in RULES if r.name == "copies")).fires()
    found = findings.look(profile, facts)
    assert [f.share for f in found] == sorted((f.share for f in found), reverse=True)
    assert not any("simulated" in f.title for f in found)
    assert all("(simulated)" in f.title for f in findings.look(replace(profile, simulated=True), facts))


def test_folder_is_the_registry() -> None:
    folder = {path.stem for path in findings.FOLDER.glob("*.py") if not path.stem.startswith("_")}
    assert folder <= set(findings.names())
    assert len({rule.name for rule in RULES}) == len(RULES)
