"""Lessons: what the field taught about a target, kept beside its runs, and what of it still stands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgewright.core.config import WatchConfig
from edgewright.pipeline.ladder import TargetResult
from edgewright.pipeline.learn import Lesson
from edgewright.pipeline.project import Project


def lessons_of(project: Project, target: str) -> list[Lesson]:
    """Every lesson of a target, oldest first."""
    path = _file(project, target)
    if not path.is_file():
        return []
    return [Lesson.from_json(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line]


def keep_lesson(project: Project, lesson: Lesson) -> None:
    lines = [*lessons_of(project, lesson.target), lesson]
    text = "".join(json.dumps(entry.to_json(), ensure_ascii=False) + "\n" for entry in lines)
    project.store.write(_file(project, lesson.target), text)


def with_lessons(found: TargetResult, lessons: Sequence[Lesson], watch: WatchConfig) -> TargetResult:
    """The result with what was learnt in the field in place of the quiet choice, so that running again does not undo
    it. A lesson stands while the promise that was broken is watched with the same limit and what it brought still
    keeps the goal."""
    last = next((lesson for lesson in reversed(lessons) if lesson.outcome == "redeployed"), None)
    if last is None or last.incident is None or last.decision is None or found.chosen is None:
        return found
    if watch.incidents.get(last.incident.promise) != last.incident.limit:
        return found
    if last.now == found.decision.chosen or not found.verdict_of(last.now) or last.now not in found.artifacts:
        return found
    quiet = f"{found.decision.chosen} would be chosen without what the field showed."
    return replace(found, decision=replace(last.decision, sentences=(last.sentence, quiet)))


def _file(project: Project, target: str) -> Path:
    return project.store.run_folder(project.name) / target / "lessons.jsonl"
