"""The last operation that was interrupted or failed, as the journal tells it: who asks later is told, too."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from edgewright.device import processes
from edgewright.device.journal import ENDS, STEPS

INTERRUPTED = "the installer was interrupted"
NAMES = {"install": "The installation of", "rollback": "The rollback to"}


def last(records: List[Dict[str, Any]]) -> Optional[Dict[str, Any]]:
    """None where there was none, else {"op": install or rollback, "step": the last one that it reached, "release",
    "reason", "outcome": what became of the device, "wall", "over": whether an operation has ended well since}."""
    found: Optional[Dict[str, Any]] = None
    begun: Dict[str, Any] = {}
    step, opened = "", False
    for record in records:
        if record["step"] == "begun":
            begun, step, opened = record, "begun", True
        elif record["step"] not in ENDS:
            step = record["step"] if record["step"] in STEPS else step
        elif record["step"] == "committed" and not record.get("recovered"):
            step, opened, found = "committed", False, dict(found, over=True) if found else None
        elif opened or record["step"] != "reverted":  # the latter is no end of an operation if none was open
            found, opened = _told(begun, step, record), False
    if opened:  # it is at work, or was interrupted and nobody has come since to end it
        at_work = processes.alive(begun.get("by"))
        found = _told(begun, step, {"reason": "" if at_work else INTERRUPTED, "wall": records[-1].get("wall")})
        found["outcome"] = "it is at work" if at_work else "the next operation finishes or undoes it"
    return found


def sentence(mishap: Mapping[str, Any]) -> str:
    """As an operator is told of it."""
    what = "%s %s" % (NAMES.get(str(mishap.get("op")), "The change to"), mishap.get("release"))
    words = (what, mishap.get("step"), str(mishap.get("reason")).rstrip("."), mishap.get("outcome"))
    return "%s ended after the step `%s`: %s; %s." % words


def _told(begun: Mapping[str, Any], step: str, end: Mapping[str, Any]) -> Dict[str, Any]:
    return {
        "op": "rollback" if begun.get("rollback") else "install",
        "step": step,
        "release": begun.get("release") or end.get("release"),
        "reason": str(end.get("reason") or INTERRUPTED),
        "outcome": _outcome(begun, end),
        "wall": end.get("wall"),
        "over": False,
    }


def _outcome(begun: Mapping[str, Any], end: Mapping[str, Any]) -> str:
    old = begun.get("old")
    if end.get("step") == "committed":
        return "it was serving already, and is kept"
    if end.get("step") == "reverted":
        return "the device went back to %s by itself" % end.get("to")
    if old and end.get("fails"):
        return "%s is current again, and does not start: %s" % (old, str(end["fails"]).rstrip("."))
    if not old:
        return "what `current` names is kept" if not begun else "there was no release before it"
    return "%s is back" % old if end.get("step") == "rolled back" else "%s is kept" % old
