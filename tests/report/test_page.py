"""The page as text: complete, self-contained, and deaf to markup in names."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from edgewright.core.errors import ConfigError, InputError
from edgewright.core.facts import Facts
from edgewright.core.recipe import Recipe
from edgewright.core.verdict import Decision, Verdict
from edgewright.report import ModelSummary, RunReport, TargetReport
from edgewright.report.html import render, write_report


class Tags(HTMLParser):
    """Counts elements and remembers attributes that would fetch or run something."""

    def __init__(self) -> None:
        super().__init__()
        self.count: dict[str, int] = {}
        self.links: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action", "srcset", "data")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def tags(page: str) -> Tags:
    parser = Tags()
    parser.feed(page)
    return parser


def text_of(page: str) -> str:
    page = re.sub(r"(?s)<(style|script).*?</\1>", " ", page)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def test_every_figure_of_the_run_is_on_the_page(run: RunReport) -> None:
    text = text_of(render(run))
    for figure in (
        "100 ms", "30.0 ms", "120 ms", "3.33 ×", "33.38 %", "33.10 %", "+0.28", "7.00 MiB", "150 MiB", "12.5 s",
        "27.0 ms", "6.00 ms", "> 100 %", "1.87 M", "4.49 GFLOP", "118 GFLOP/s", "13.2 GB/s", "0.5 points", "5.00 MiB",
        "planted-unbuilt", "The compiler refused node 7.", "http://127.0.0.1:8080", "cd" * 32, "onnxruntime 1.31.1",
        "p95 was 61 ms against 40 ms for 8 readings.", "Use INT8.", "3 min 38 s", "2026-12-01 09:41:12 UTC",
    ):  # fmt: skip
        assert figure in text, figure


def test_the_headline_names_the_base_of_its_ratio(run: RunReport) -> None:
    assert "planted-int8 runs 3.33 times as fast as planted-base, at a drop of 0.28 points of mAP50-95" in text_of(
        render(run)
    )


def test_chinese_page_says_it_in_chinese(run: RunReport) -> None:
    page = render(run, "zh")
    text = text_of(page)
    assert '<html lang="zh-CN">' in page
    assert "planted-int8 的速度是 planted-base 的 3.33 倍" in text
    assert "卷积占 75 % 的时间" in text and "尚未判定" in text


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_nothing_is_fetched_from_anywhere(run: RunReport, lang: str) -> None:
    found = tags(render(run, lang))
    assert found.count["script"] == found.count["style"] == 1
    assert all(link.startswith(("#", "data:")) for link in found.links)
    assert not found.handlers


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_hostile_names_add_no_element(run: RunReport, hostile: RunReport, lang: str) -> None:
    found = tags(render(hostile, lang))
    assert found.count["script"] == 1 and "img" not in found.count
    assert not found.handlers
    assert all(link.startswith(("#", "data:")) for link in found.links)


def test_every_table_has_a_caption_and_every_chart_a_name(run: RunReport) -> None:
    page = render(run)
    found = tags(page)
    assert found.count["caption"] == found.count["table"]
    assert (
        page.count("<svg")
        == page.count('role="img"')
        == page.count('aria-label="', page.index("<main")) - page.count("<nav class")
    )


def test_simulated_run_carries_a_banner(run: RunReport) -> None:
    assert "banner" not in re.sub(r"(?s)<style.*?</style>", "", render(run))
    target = run.targets[0]
    profiles = {name: replace(profile, simulated=True) for name, profile in target.profiles.items()}
    for stand_in in (
        replace(target, decision=replace(target.decision, simulated=True)),
        replace(target, facts=replace(target.facts, simulated=True)),
        replace(target, profiles=profiles),
    ):
        page = render(replace(run, targets=(stand_in,)))
        assert "Simulated. These figures come from a stand-in" in text_of(page)


def test_a_failed_run_names_the_nearest_candidate_and_the_distance(run: RunReport) -> None:
    decision = Decision(
        "planted", "fail", "", ("planted-bf16: too slow.",), (), "planted-bf16", "p95 62 ms against 60 ms"
    )
    failed = replace(run, verdict="fail", targets=(replace(run.targets[0], decision=decision),))
    assert "No candidate keeps the goal. Nearest: planted-bf16, p95 62 ms against 60 ms." in text_of(render(failed))


def test_agreement_is_never_called_accuracy(run: RunReport) -> None:
    target = run.targets[0]
    seen = [
        replace(v, metric=replace(v.metric, kind="agreement", name="agreement")) for v in target.candidates if v.metric
    ]
    text = text_of(render(replace(run, targets=(replace(target, candidates=tuple(seen)),))))
    assert "agreement with the float model, not accuracy" in text


def test_several_targets_each_have_their_part(run: RunReport) -> None:
    second = replace(run.targets[0], name="other-board")
    page = render(replace(run, targets=(run.targets[0], second)))
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert "Target other-board" in text_of(page)


def test_a_run_that_knows_almost_nothing_is_still_a_page() -> None:
    recipe = Recipe("only", "planted", "fp32")
    target = TargetReport(
        "bare", Facts("local", "planted"), Verdict(recipe, "pass", ()), (), Decision("bare", "fail", "", ())
    )
    bare = RunReport("bare", "bare", "", "fail", "tensors", ModelSummary("bare"), (target,))
    for lang in ("en", "zh"):
        assert "nan" not in text_of(render(bare, lang)).lower()


def test_the_record_s_json_gives_the_same_page(run: RunReport) -> None:
    assert render(json.loads(json.dumps(run.to_json()))) == render(RunReport.from_json(run.to_json()))


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not the record of a run"):
        write_report({"hello": 1}, tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


def test_unknown_language_writes_nothing(run: RunReport, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no report language"):
        write_report(run, tmp_path / "report.html", "xx")
    assert not list(tmp_path.iterdir())
