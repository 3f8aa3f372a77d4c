"""Whole runs on models with one thing wrong on purpose: a run always ends usable, or says what it missed."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import planted
import pytest
from board import ask, health
from work import Ended, Work

import edgewright

pytestmark = pytest.mark.slow

ONE_THREAD = {"name": "local", "family": "onnxruntime", "options": {"threads": 1, "spinning": False}}
"""A target without runtime variants to try: its ladder is int8, fp32."""


def colours(work: Work, target: dict[str, Any] = ONE_THREAD, offset: float = 0.0, **sections: Any) -> None:
    planted.colour_model(work.folder / "colours.onnx", offset)
    planted.colour_pictures(work.folder / "train", 8, seed=0)
    planted.colour_pictures(work.folder / "val", 12, seed=1)
    work.configure(
        model="colours.onnx",
        task={"kind": "classification", "labels": list(planted.COLOURS)},
        data={"calibration": "train", "validation": "val"},
        targets=[target],
        **sections,
    )


def assert_sound(ended: Ended) -> None:
    """What every run owes: figures and executed precisions for each candidate that could be measured, and a reason."""
    target = ended.target()
    for row in (target["baseline"], *target["candidates"]):
        assert row["reason"]
        if row["latency_ms"] is not None:
            low, high = row["latency_interval"]
            assert 0 < low <= row["latency_ms"] <= high
            assert row["executed_precisions"]
            assert sum(row["executed_precisions"].values()) == pytest.approx(1, abs=0.01)
    assert target["sentences"]


def test_int8_that_breaks_accuracy_gives_way_to_fp32_and_the_service_is_right(work: Work) -> None:
    colours(work, offset=1e4)
    ended = work.run()
    assert ended.code == 0, ended.err
    assert_sound(ended)
    target = ended.target()
    assert target["chosen"] == "fp32"
    broken = ended.candidate("int8")
    assert broken["verdict"] == "fail"
    assert broken["drop_points"] > 50
    assert broken["executed_precisions"]["int8"] > 0
    assert any("int8 fails: top1 drops" in sentence for sentence in target["sentences"])
    url = target["service"]["url"]
    assert health(url)["ready"]
    status, answer = ask(url + "/infer", (work.folder / "val" / "green" / "000.png").read_bytes(), "image/png")
    assert status == 200
    assert b"green" in answer


def test_on_openvino_it_ends_in_a_precision_that_keeps_the_goal(work: Work) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    colours(work, {"name": "local", "family": "openvino", "options": {"threads": 1}}, offset=1e4)
    ended = work.run("--no-deploy")
    assert ended.code == 0, ended.err
    assert_sound(ended)
    chosen = ended.candidate(ended.target()["chosen"])
    assert chosen["precision"] in ("bf16", "fp16", "fp32")
    assert chosen["drop_points"] <= 1
    assert ended.candidate("int8")["verdict"] == "fail"


def test_int8_that_is_slower_is_not_chosen(work: Work) -> None:
    planted.small_products(work.folder / "products.onnx")
    planted.tensors(work.folder / "samples", (1, 4, 16), 12)
    work.configure(
        model="products.onnx",
        task="tensors",
        data={"validation": "samples"},
        goal={"max_drop": {"cosine": 20}},
        targets=[ONE_THREAD],
    )
    ended = work.run("--no-deploy")
    assert ended.code == 0, ended.err
    assert_sound(ended)
    target, slow = ended.target(), ended.candidate("int8")
    assert slow["verdict"] == "pass"
    assert slow["executed_precisions"]["int8"] > 0
    assert target["chosen"] == "fp32"
    assert any("int8 is passed over: it is not measurably faster than fp32" in s for s in target["sentences"])


def test_an_impossible_goal_ends_with_1_the_nearest_candidate_and_the_distance(work: Work) -> None:
    colours(work, goal={"latency_p95_ms": 0.001})
    ended = work.run()
    assert ended.code == 1, ended.err
    assert_sound(ended)
    target = ended.target()
    assert (ended.json()["verdict"], target["verdict"], target["chosen"]) == ("fail", "fail", "")
    assert target["nearest"] in {row["name"] for row in target["candidates"]}
    assert "against 0.001 ms" in target["distance"]
    assert "% over" in target["distance"]
    assert target["service"] is None
    assert work.programs() == [], "something was left running"
    assert Path(ended.json()["report"]).is_file()


def test_too_few_samples_are_undecided_with_the_number_that_would_do_and_fall_back_when_told(work: Work) -> None:
    planted.learnt_by_heart(work.folder / "heart.onnx", work.folder / "pictures")
    sections: dict[str, Any] = {
        "model": "heart.onnx",
        "task": {"kind": "classification", "labels": ["left", "right"]},
        "data": {"calibration": "pictures", "validation": "pictures"},
        "targets": [ONE_THREAD],
    }
    work.configure(**sections, goal={"max_drop": {"top1": 2}})
    ended = work.run("--no-deploy")
    assert ended.code == 0, ended.err
    few = ended.candidate("int8")
    assert few["verdict"] == "undecided"
    assert few["drop_points"] == pytest.approx(0)
    assert "40 samples cannot decide it, about " in few["reason"]
    assert "samples would decide" in few["reason"]
    assert (ended.json()["verdict"], ended.target()["chosen"]) == ("undecided", "int8")
    assert "undecided and was accepted" in ended.target()["sentences"][0]

    measured = work.records("race", "accuracy", "build", "artifact")
    work.configure(**sections, goal={"max_drop": {"top1": 2}, "undecided": "fallback"})
    careful = work.run("--no-deploy")
    assert careful.code == 0, careful.err
    assert (careful.json()["verdict"], careful.target()["chosen"]) == ("pass", "fp32")
    assert "fall back when undecided" in careful.candidate("int8")["reason"]
    now = work.records("race", "accuracy", "build", "artifact")
    assert {name: now[name] for name in measured} == measured, "a measurement was made again"


FAMILY = """
    import dataclasses
    from edgewright import targets
    from edgewright.core.recipe import Recipe

    class Stumbling:
        name = "stumbling"
        precisions = ("int8", "fp16", "fp32")

        def __init__(self):
            self._null = targets.get("null")
            self.doctor = self._null.doctor

        async def probe(self, link):
            return dataclasses.replace(await self._null.probe(link), family=self.name)

        def offers(self, model, spec, facts, options, calibrated):
            yield Recipe("int8", self.name, "int8", reason="Its build crashes.")
            yield Recipe("fp16", self.name, "fp16", runtime={"die": True}, reason="Its engine kills its process.")
            yield Recipe("fp32", self.name, "fp32", reason="Nothing is wrong with it.")

        def build(self, models, spec, recipe, calibration, folder):
            if recipe.precision == "int8":
                (folder / "model").mkdir()
                (folder / "model" / "half.bin").write_bytes(b"half")
                raise ZeroDivisionError("the quantiser divides by a range of nothing")
            return self._null.build(models, spec, recipe, calibration, folder)

    MEMBER = Stumbling()
"""
ENGINE = """

_open = open


def open(path, settings):
    if settings.get("die"):
        import os, signal
        os.kill(os.getpid(), signal.SIGSEGV)
    return _open(path, settings)
"""


def stumbling(folder: Path) -> Path:
    """A target family in a wheel of another maker, as pip would lay it out."""
    package, info = folder / "stumbling_target", folder / "stumbling_target-1.0.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").write_text(textwrap.dedent(FAMILY))
    null = Path(edgewright.__file__).parent / "targets" / "null" / "ondevice.py"
    (package / "ondevice.py").write_text(null.read_text() + ENGINE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stumbling-target\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[edgewright.targets]\nstumbling = stumbling_target:MEMBER\n")
    return folder


def test_a_crashing_build_and_a_dying_engine_are_failed_candidates_of_a_usable_run(work: Work) -> None:
    """And the family that does this lives in a wheel of its own, found by its entry point."""
    colours(work, {"name": "local", "family": "stumbling"})
    work.env["PYTHONPATH"] = str(stumbling(work.folder / "site"))
    ended = work.run()
    assert ended.code == 0, ended.err
    assert "Traceback" not in ended.err
    assert_sound(ended)
    target = ended.target()
    assert target["chosen"] == "fp32"
    crashed, died = ended.candidate("int8"), ended.candidate("fp16")
    assert (crashed["verdict"], died["verdict"]) == ("fail", "fail")
    assert "could not be built or run: ZeroDivisionError: the quantiser divides" in crashed["reason"]
    assert "ended without an answer" in died["reason"]
    assert crashed["latency_ms"] is None
    assert any("int8 could not be measured" in sentence for sentence in target["sentences"])
    assert health(target["service"]["url"])["ready"]
    assert not list((work.home / "cache" / "build").glob(".making-*")), "a half-built folder was left behind"
