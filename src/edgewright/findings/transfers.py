"""Is the accelerator waiting for the bus: copies between host and device?

Where the input or the output is large (raw float images in, all boxes out), moving it can cost more than computing
on it. uint8 in, and only what is needed out, make both transfers several times smaller.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgewright.core.facts import Facts
from edgewright.core.profile import Finding, Profile
from edgewright.findings._evidence import percent
from edgewright.findings._phases import phase_rows, phase_share

name = "transfers"
VISIBLE = 0.05


def look(profile: Profile, facts: Facts) -> Iterator[Finding]:
    into, out = phase_share(profile, "host_to_device"), phase_share(profile, "device_to_host")
    either = phase_share(profile, "transfer")  # Ascend's MEMCPY_ASYNC, whose direction msprof seldom tells
    share = into + out + either
    if share < VISIBLE:
        return
    ways = [f"to the device {percent(into)}", f"back to the host {percent(out)}"] if into + out > 0 else []
    ways += [f"{percent(either)} in copies whose direction was not recorded"] if either > 0 else []
    told = ", ".join(ways)
    yield Finding(
        rule=name,
        title=f"Transfers between host and device take {percent(share)} of a request",
        detail=f"{told[0].upper()}{told[1:]} of a request.",
        severity="warning",
        share=share,
        evidence=phase_rows(profile),
        argues_for=("fold-preprocess", "split-head"),
        remedy="Send uint8 instead of float32, bring back only the outputs that are used, and overlap copies "
        "with work.",
    )
