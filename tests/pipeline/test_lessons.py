"""What the field taught stands until the promise, the goal or the candidates change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgewright.core.config import WatchConfig
from edgewright.core.facts import Facts
from edgewright.core.recipe import Artifact, Recipe, ServiceSpec
from edgewright.core.task import TaskSpec
from edgewright.core.verdict import Decision, Incident, Verdict
from edgewright.pipeline.ladder import TargetName, TargetResult
from edgewright.pipeline.learn import Lesson
from edgewright.pipeline.lessons import keep_lesson, lessons_of, with_lessons
from edgewright.pipeline.project import open_project

WATCHED = WatchConfig(incidents={"latency_p95_ms": 20})
INCIDENT = Incident("latency_p95_ms", 20, 30, 5, 9, "live", "p95 was 30 ms.")
LESSON = Lesson(
    "t", "redeployed", "p95 was 30 ms. Now int8.", INCIDENT, "fp32", "int8", decision=Decision("t", "pass", "int8", ())
)


def found(int8: str = "pass", chosen: str = "fp32") -> TargetResult:
    recipes = [Recipe(p, "planted", p) for p in ("int8", "fp32")]
    verdicts = tuple(Verdict(r, v, ("measured",)) for r, v in zip(recipes, (int8, "pass"), strict=True))
    service = ServiceSpec("planted", "planted", "fp32", TaskSpec("null"), {})
    artifacts = {r.name: Artifact(r, Path(), {}, service, 1, 0.0) for r in recipes}
    return TargetResult(
        TargetName("t", "planted", "local"), Facts("d", "planted"), verdicts[1], artifacts["fp32"], None,
        verdicts, artifacts, Decision("t", "pass" if chosen else "fail", chosen, ()),
    )  # fmt: skip


def test_what_was_learnt_is_kept_and_chosen_again(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text("model: m.onnx\n")
    project = open_project(str(tmp_path / "e.yaml"), home=tmp_path / "home")
    keep_lesson(project, replace(LESSON, outcome="no better candidate"))
    keep_lesson(project, LESSON)
    kept = lessons_of(project, "t")
    assert kept[-1] == LESSON
    result = with_lessons(found(), kept, WATCHED)
    assert result.decision.chosen == "int8"
    assert result.decision.sentences == (LESSON.sentence, "fp32 would be chosen without what the field showed.")


def test_a_lesson_ends_with_its_promise() -> None:
    assert with_lessons(found(), [LESSON], WatchConfig(incidents={"latency_p95_ms": 40})) == found()
    assert with_lessons(found(), [LESSON], WatchConfig()) == found()


def test_a_lesson_ends_where_its_candidate_no_longer_keeps_the_goal() -> None:
    assert with_lessons(found(int8="fail"), [LESSON], WATCHED) == found(int8="fail")


def test_nothing_is_chosen_by_a_lesson_where_no_candidate_keeps_the_goal() -> None:
    assert with_lessons(found(chosen=""), [LESSON], WATCHED).decision.chosen == ""


def test_an_incident_without_a_better_candidate_changes_nothing() -> None:
    assert with_lessons(found(), [replace(LESSON, outcome="no better candidate")], WATCHED) == found()
