"""The page's words, in English or Chinese. Both have the same keys (a test keeps them so)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgewright.core.errors import ConfigError
from edgewright.core.plugs import did_you_mean
from edgewright.core.profile import Finding
from edgewright.report.language import chinese, chinese_findings, chinese_sentences, english

LANGUAGES: Mapping[str, Mapping[str, str]] = {"en": english.WORDS, "zh": chinese.WORDS}


def words(language: str) -> Callable[..., str]:
    """`t(key, **values)`: the text of a key with its values filled in. ConfigError for an unknown language."""
    if language not in LANGUAGES:
        raise ConfigError(f"There is no report language '{language}'.", did_you_mean(language, tuple(LANGUAGES)))
    chosen = LANGUAGES[language]

    def t(key: str, **values: object) -> str:
        return chosen[key].format(**values) if values else chosen[key]

    return t


def word_or(language: str, key: str, otherwise: str) -> str:
    """The text of a key that may not exist (a kind, a metric, a phase somebody added)."""
    return LANGUAGES[language].get(key, otherwise)


@dataclass(frozen=True)
class Said:
    """A sentence and the language it is in."""

    text: str
    lang: str


def said(sentence: str, language: str) -> Said:
    """A sentence of the pipeline in the page's language where it is known, in its own English where not."""
    if language == "zh":
        translated = chinese_sentences.translate(sentence)
        return Said(translated, LANGUAGES["zh"]["lang"]) if translated else Said(sentence, "en")
    return Said(sentence, "en")


def finding_text(finding: Finding, language: str) -> tuple[Finding, bool]:
    """The finding in the page's language, and whether it is: a team's own rule stays in its own words."""
    if language == "zh":
        translated = chinese_findings.translate(finding)
        return (translated, True) if translated else (finding, False)
    return finding, True
