"""The page's words in English and Chinese."""

from __future__ import annotations

import re
import string

import pytest

from edgewright import findings
from edgewright.core.errors import ConfigError
from edgewright.core.operator_kind import KINDS
from edgewright.core.profile import Finding
from edgewright.report.language import LANGUAGES, finding_text, said, words
from edgewright.report.language.chinese_findings import RULES

CHINESE = re.compile("[\u4e00-\u9fff]")


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_keys_and_fields() -> None:
    english, chinese = LANGUAGES["en"], LANGUAGES["zh"]
    assert set(english) == set(chinese)
    for key in english:
        assert fields(english[key]) == fields(chinese[key]), key


def test_every_operator_kind_has_a_name() -> None:
    assert all(f"op_kind.{kind}" in LANGUAGES["en"] for kind in KINDS)


def test_every_rule_of_ours_is_said_in_chinese() -> None:
    own = {path.stem for path in findings.FOLDER.glob("*.py") if not path.stem.startswith("_")}
    assert own == set(RULES)
    assert all(CHINESE.search(text) for texts in RULES.values() for text in texts)


def test_a_team_s_own_rule_keeps_its_words() -> None:
    finding = Finding("theirs", "Their title", "Their detail.", remedy="Their remedy.")
    assert finding_text(finding, "zh") == (finding, False)


def test_a_finding_keeps_its_figures_and_mark_in_chinese() -> None:
    finding = Finding("copies", "Copies take 12 % (simulated)", "…", share=0.12, evidence=({"type": "Concat"},))
    translated, ours = finding_text(finding, "zh")
    assert ours and "12 %" in translated.title and "Concat" in translated.detail and "模拟" in translated.title


@pytest.mark.parametrize(
    "sentence",
    [
        "a is chosen for latency: 30.00 ms, 3.33 (3.17 to 3.50) times the speed of the baseline, at a drop of 0.28 "
        "(-0.12 to 0.68) points of map50_95; its verdict is undecided and was accepted.",
        "a is chosen for size: 30.00 ms, 3.33 (3.17 to 3.50) times the speed of the baseline.",
        "a fails: map50_95 drops +1.10 points (+0.61 to +1.60, limit 0.5).",
        "a is passed over: it is not measurably faster than b, which is more accurate.",
        "a-x is passed over: it is not measurably faster than a, which is plainer.",
        "a keeps the goal too, but b is better for latency (1.73 times its speed).",
        "map50_95 drops +0.28 points (-0.35 to +0.91, limit 0.5): 128 samples cannot decide it, about 2,400 samples "
        "would decide",
        "p95 is 85.60 ms (71.90 to 92.40), limit 100 ms",
        "throughput is 17.6/s (17.4 to 17.9), wanted 10/s",
        "size is 7.1 MiB, limit 10 MiB",
    ],
)
def test_sentences_of_the_pipeline_are_said_in_chinese_with_their_figures(sentence: str) -> None:
    chinese = said(sentence, "zh")
    assert chinese.lang == "zh-CN" and CHINESE.search(chinese.text)
    for figure in re.findall(r"\d+\.\d+", sentence):
        assert figure in chinese.text


def test_an_unknown_sentence_stays_as_it_is() -> None:
    assert said("Something else happened.", "zh").text == "Something else happened."
    assert said("Something else happened.", "zh").lang == "en"


def test_an_unknown_language_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="no report language 'eng'"):
        words("eng")


def test_health_of_calibration_is_said_in_chinese() -> None:
    finding = Finding("calibration-overlap", "3 of 128 validation images are also used to calibrate", "…", remedy="…")
    translated, ours = finding_text(finding, "zh")
    assert ours and translated.title == "128 张验证图像中有 3 张也用于校准"
