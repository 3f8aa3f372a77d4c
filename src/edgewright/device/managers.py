"""Who keeps the service alive: our own supervisor alone, or systemd, which keeps the supervisor alive."""

from __future__ import annotations

from edgewright.device.release import Layout


def adopt(layout: Layout) -> str:
    """Tells who keeps the service alive of it; the name of that."""
    return "supervisor"
