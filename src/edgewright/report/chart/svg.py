"""SVG elements as safe markup: every attribute and text is escaped, whatever a model file called its nodes."""

from __future__ import annotations

import unicodedata

from markupsafe import Markup, escape


def element(name: str, *children: str, **attributes: object) -> Markup:
    """`<name …>children</name>`; `class_` becomes class, `_` in other names becomes `-`, None leaves one out.

    A child that is not Markup is text and is escaped. Floats are written with at most two decimals.
    """
    said = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _number(value))
        for key, value in attributes.items()
        if value is not None
    )
    inner = Markup("").join(child if isinstance(child, Markup) else escape(clean(child)) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), said, inner)


def picture(width: float, height: float, title: str, description: str, *children: Markup) -> Markup:
    """A whole SVG with a title and a description for those who cannot see it."""
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        *children,
        viewBox=Raw(f"0 0 {width:g} {height:g}"),
        width=width,
        height=height,
        role="img",
        aria_label=f"{title}. {description}",
    )


class Raw(str):
    """An attribute value that is kept as it is (still escaped)."""


def clean(text: object) -> str:
    """Without what XML and HTML forbid: control characters and lone surrogates."""
    return "".join(c for c in str(text) if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))


def shortened(text: str, length: int) -> str:
    """The text, its middle left out if it is longer: ends tell names of a graph apart."""
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}"


def text_width(text: str, size: float = 12) -> float:
    """About how wide the text is, in pixels; rather too wide than too narrow."""
    return sum(size if ord(c) > 0x2E80 else size * 0.6 for c in text)


def _number(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else clean(value)
