"""Rows of the fault list that no test here makes, and why."""

UNCOVERED = {
    "F7 a server that ignores Range, or whose content changes between two ranges": (
        "devices are sent files over SSH; nothing here fetches by ranges over HTTP"
    ),
    "F22 a metric that is missing, or a power of 0.0 W": "the power of a device is not measured",
}
