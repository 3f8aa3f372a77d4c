"""Looking into an opened service."""

from __future__ import annotations

from typing import Any

from edgewright.device.service import Service


def heads(service: Service, picture: Any) -> dict[str, Any]:
    """The raw heads of one decoded picture, by role, channels last; arrays of their own."""
    session = service.session("metric")
    feeds, _ = session.prepare(picture)
    layout = service.spec["task"]["postprocess"][0]["params"]["layout"]
    found = {role: array.copy() for role, array in session.infer(feeds).items()}
    return found if layout == "NHWC" else {role: array.transpose(0, 2, 3, 1) for role, array in found.items()}
