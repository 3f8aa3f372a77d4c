"""Numbers as a reader wants them: three figures, a unit, an interval; "–" where nothing is known."""

from __future__ import annotations

import math

from edgewright.core.verdict import Estimate

UNKNOWN = "–"
MINUS = "−"


def figure(value: float | None, digits: int = 3) -> str:
    """At least three significant figures, no exponent; digits before the point are never rounded away."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    size = abs(value)
    sign = MINUS if value < 0 else ""
    if size == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(size)))
    text = f"{size:,.{min(places, 6)}f}"
    if places and float(text.replace(",", "")) >= 10 ** (digits - places):  # 9.996 rounds up to 10.00
        text = f"{size:,.{places - 1}f}"
    return "0" if float(text.replace(",", "")) == 0 else sign + text


def signed(value: float | None, digits: int = 2) -> str:
    """With its sign, and a fixed number of decimals: "+0.28", "−1.30"."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    text = f"{abs(value):.{digits}f}"
    return text if float(text) == 0 else ("+" if value > 0 else MINUS) + text


def whole(value: float) -> str:
    return f"{value:,.0f}".replace("-", MINUS)


def percent(fraction: float | None) -> str:
    """A fraction of 1 as percent, two to three figures."""
    if fraction is None or not math.isfinite(fraction):
        return UNKNOWN
    value = fraction * 100
    return f"{value:.0f} %" if abs(value) >= 10 or value == 0 else f"{value:.1f} %"


def of_roofline(efficiency: float | None) -> str:
    """Achieved ÷ attainable. Over 1 only says that operands came from a cache, so how far over is not shown."""
    return "> 100 %" if efficiency is not None and 1.005 < efficiency < math.inf else percent(efficiency)


def points(fraction: float | None) -> str:
    """A metric (a fraction of 1) in points of 100, two decimals: 0.3338 → "33.38"."""
    return UNKNOWN if fraction is None or not math.isfinite(fraction) else f"{fraction * 100:.2f}"


def byte_size(count: float | None) -> str:
    """Binary units: 7340032 → "7.00 MiB"; 0 is "–", since nothing here is empty when it is known."""
    if not count or not math.isfinite(count):
        return UNKNOWN
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{figure(count / size)} {unit}"
    return f"{count:.0f} B"


def engineering(value: float, unit: str = "") -> str:
    """With a metric prefix: 4.485e9 → "4.49 G"."""
    for prefix, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{figure(value / size)} {prefix}{unit}".rstrip()
    return f"{figure(value)} {unit}".rstrip() if value else UNKNOWN


def milliseconds(value: float | None) -> str:
    return UNKNOWN if value is None or not math.isfinite(value) else f"{figure(value)} ms"


def microseconds(value: float | None) -> str:
    """µs below a millisecond, ms above."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{figure(value / 1e3)} ms" if value >= 1000 else f"{figure(value)} µs"


def seconds(value: float | None) -> str:
    if not value or not math.isfinite(value):
        return UNKNOWN
    return f"{int(value) // 60} min {int(value) % 60} s" if value >= 120 else f"{figure(value)} s"


def interval(estimate: Estimate | None, scale: float = 1.0, decimals: int | None = None) -> str:
    """The 95 % interval, "11.9 … 12.8"; "" where there is none."""
    if estimate is None or not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return ""
    low, high = estimate.low * scale, estimate.high * scale
    if decimals is not None:
        return f"{signless(low, decimals)} … {signless(high, decimals)}"
    return f"{figure(low)} … {figure(high)}"


def signless(value: float, decimals: int) -> str:
    text = f"{abs(value):.{decimals}f}"
    return MINUS + text if value < 0 and float(text) != 0 else text


def shape(dimensions: tuple[int, ...]) -> str:
    return "×".join("?" if n < 0 else str(n) for n in dimensions) or UNKNOWN
