"""What the wave over a fleet gave: by groups of devices, against the goals, and as the table of the README."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

HUB_CPU_S, HUB_PEAK_MB, UNCHANGED_BYTES = 120.0, 300.0, 10_000
"""For a thousand devices; fewer must keep them all the more."""
TITLES = (
    "deployment", "devices", "live (late)", "offline", "failed", "wall s", "hub CPU s", "hub peak MB",
    "bytes up the wire, median (max)",
)  # fmt: skip
BEGIN, END = "<!-- the table is written by fleet.py -->", "<!-- end of the table -->"


def of_groups(
    found: Mapping[str, Any], sent: Mapping[str, int], dead: Sequence[str], slow: Sequence[str]
) -> dict[str, Any]:
    """One deployment without its thousand rows. Bytes are those of the devices that are neither dead nor slow;
    `others_s` is when the last of these was live, `unchanged_bytes` the most that one got which had the release."""
    devices = found["devices"]
    others = {name: row for name, row in devices.items() if name not in dead and name not in slow}
    wire = sorted(sent[name] for name in others)
    same = [sent[name] for name, row in others.items() if row["unchanged"]]
    return {
        **{key: value for key, value in found.items() if key != "devices"},
        "states": {
            "dead": _states(devices[name] for name in dead),
            "slow": _states(devices[name] for name in slow),
            "others": _states(others.values()),
        },
        "late": sum(row["state"] == "live" and row["attempts"] > 1 for row in devices.values()),
        "others_s": max(row["after_s"] for row in others.values()),
        "said": sorted({row["detail"] for row in devices.values() if row["detail"]})[:5],
        "unchanged": len(same),
        "unchanged_bytes": max(same, default=None),
        "wire_bytes": {"median": median(wire), "max": wire[-1]},
    }


def judged(report: Mapping[str, Any], patience_s: float) -> list[dict[str, Any]]:
    """Every goal with what was found. `patience_s` is what the rollout may spend on a device that is dead or slow: so
    much longer than for the others may a wave take, and no more."""
    simulated, steps = report["simulated"], report["simulated"]["steps"]
    every = [*steps, *report["real"]["steps"]]
    healthy = simulated["devices"] - simulated["dead"] - simulated["slow"]
    unchanged = [step["unchanged_bytes"] for step in every if step["unchanged_bytes"] is not None]
    live = min(step["states"]["others"].get("live", 0) for step in steps)
    offline = min(step["states"]["dead"].get("offline", 0) for step in steps)
    tail = max(step["rollout_s"] - step["others_s"] for step in steps)
    return [
        _goal("hub_cpu_s", "CPU seconds of the hub", HUB_CPU_S, max(step["hub_cpu_s"] for step in every)),
        _goal("hub_peak_mb", "MB of the hub", HUB_PEAK_MB, max(step["hub_peak_mb"] for step in every)),
        _goal("unchanged_bytes", "bytes to a device that had it", UNCHANGED_BYTES, max(unchanged, default=None)),
        _goal("others_live", "devices, neither dead nor slow, live in every deployment", healthy, live, least=True),
        _goal("dead_offline", "dead devices told as offline", simulated["dead"], offline, least=True),
        _goal("tail_s", "seconds that a wave waits for the dead and the slow", patience_s + 5, tail),
    ]


def table(report: Mapping[str, Any]) -> str:
    """As it stands in the README."""
    lines = ["| " + " | ".join(TITLES) + " |", "|---" * len(TITLES) + "|"]
    for kind in ("simulated", "real"):
        part = report[kind]
        for row in part["steps"]:
            sent, counts = row["wire_bytes"], _summed(row["states"].values())
            cells = (
                row["name"],
                f"{part['devices']} {'SIMULATED' if part['SIMULATED'] else 'real'}",
                f"{counts.get('live', 0)} ({row['late']})",
                str(counts.get("offline", 0)),
                str(counts.get("failed", 0)),
                f"{row['wall_s']:.1f}",
                f"{row['hub_cpu_s']:.1f}",
                f"{row['hub_peak_mb']:.0f}",
                f"{sent['median']:,.0f} ({sent['max']:,})",
            )
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdicts(report: Mapping[str, Any]) -> str:
    return "\n".join(
        f"{'kept' if goal['kept'] else 'MISSED'}: {goal['found']:,.6g} {goal['what']} "
        f"(goal: {'at least' if goal['least'] else 'at most'} {goal['limit']:,.6g})"
        for goal in report["goals"]
    )


def fill(readme: Path, report: Mapping[str, Any]) -> None:
    """Puts the table between its marks."""
    text = readme.read_text(encoding="utf-8")
    whole = f"{BEGIN}\n\n{table(report)}\n\n{END}"
    text, count = re.subn(re.escape(BEGIN) + ".*" + re.escape(END), lambda _: whole, text, flags=re.DOTALL)
    assert count == 1, f"{readme} has no place for the table"
    readme.write_text(text, encoding="utf-8")


def _goal(key: str, what: str, limit: float, found: float | None, least: bool = False) -> dict[str, Any]:
    """Nothing found is no goal kept."""
    kept = found is not None and (found >= limit if least else found <= limit)
    return {"goal": key, "what": what, "limit": limit, "found": -1 if found is None else found, "least": least,
            "kept": kept}  # fmt: skip


def _states(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    return _summed({row["state"]: 1} for row in rows)


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in counts:
        for state, count in each.items():
            found[state] = found.get(state, 0) + count
    return found
