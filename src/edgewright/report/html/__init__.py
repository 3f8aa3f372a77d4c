"""A run as one self-contained HTML page: style, script and charts inside, nothing from the network.

Names, labels and messages come from model files and devices and are not to be trusted: the template escapes
everything, charts escape everything, and the page's content security policy runs no script but the page's own.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewright.core.errors import InputError
from edgewright.report.language import words
from edgewright.report.model import RunReport

TEMPLATES = Path(__file__).parent / "template"


def write_report(run: RunReport | Mapping[str, Any], out: Path, lang: str = "en") -> Path:
    """Writes the page of a run (a RunReport, or its JSON form) in "en" or "zh" and gives its path.

    The file appears whole or not at all. ConfigError for an unknown language; InputError where the mapping is no
    run report.
    """
    page = render(run, lang).encode("utf-8", "replace")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    partial.write_bytes(page)
    partial.replace(out)
    return out


def render(run: RunReport | Mapping[str, Any], lang: str = "en") -> str:
    """The page as text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from edgewright.report import numbers
    from edgewright.report.html.view import page_view

    report = run if isinstance(run, RunReport) else _parsed(run)
    t = words(lang)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(t=t, n=numbers)
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    return environment.get_template("page.html").render(
        report=report, view=page_view(report, lang), style=style, script=script, script_digest=digest
    )


def _parsed(run: Mapping[str, Any]) -> RunReport:
    try:
        return RunReport.from_json(run)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"This is not the record of a run: {' '.join(str(error).split())[:200]}.",
            "Give the report.json that `edgewright run` wrote.",
        ) from None


__all__ = ["render", "write_report"]
