"""The systemd unit of a channel, as text: `python -m edgewright.device.channel … --unit` prints it.

The process is started from the link channel/programs in the device folder, which the channel itself moves on. It runs
as whoever installs releases here, and is not hardened: installing may mean making units. Directives are those of
systemd.unit(5), systemd.service(5) and systemd.exec(5).
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Dict, List, Optional
from zlib import crc32

from edgewright.device import programs, units
from edgewright.device.channel_programs import LINK
from edgewright.device.release import Layout, ReleaseError

EVERY_S = 3600.0
CARRIED = ("DOCKER_CONFIG", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH")
"""Variables of the calling shell that the unit gets too, beside those that begin with ASCEND."""


def unit(layout: Layout, words: argparse.Namespace) -> str:
    """The unit's text, with a first line that says where it belongs. ReleaseError where no programs are linked to, and
    for what a unit cannot say."""
    if programs.linked(layout, LINK) is None:
        raise ReleaseError("The channel has no device programs here yet.", "Let it poll once, without --unit.")
    system = os.geteuid() == 0
    place = "/etc/systemd/system" if system else "~/.config/systemd/user"
    name = "edgewright-channel-%08x.service" % crc32(("%s %s" % (layout.root, words.channel)).encode("utf-8"))
    command = [sys.executable, "-m", "edgewright.device.channel", *_words(layout, words)]
    lines = [
        "# %s/%s" % (place, name),
        "[Unit]",
        "Description=Edgewright channel %s" % words.channel,
        *(["Wants=network-online.target", "After=network-online.target"] if system else []),
        "",
        "[Service]",
        "ExecStart=" + " ".join(units.word(one).replace("$", "$$") for one in command),
        *("Environment=" + units.assignment(key, value) for key, value in sorted(_environment(layout).items())),
        "WorkingDirectory=/",
        "Restart=always",
        "RestartSec=60",
        # What an installation has started goes on when the channel ends: a supervisor without a unit is one of these.
        "KillMode=process",
        "",
        "[Install]",
        "WantedBy=%s" % ("multi-user.target" if system else "default.target"),
    ]
    return "\n".join(lines) + "\n"


def _words(layout: Layout, words: argparse.Namespace) -> List[str]:
    """Those that were given, but for the first root: that is here already."""
    found = [layout.root, words.url, "--channel", words.channel, "--every", "%g" % (words.every or EVERY_S)]
    for name in ("clock", "plain_http"):
        found += ["--" + name.replace("_", "-")] if getattr(words, name) else []
    given: Dict[str, Optional[str]] = {
        "ca": os.path.abspath(words.ca) if words.ca else None,
        "timeout": "%g" % words.timeout,
        "attempts": "%d" % words.attempts,
        "pause": "%g" % words.pause,
        "source": words.source,
        "host": words.host,
        "port": str(words.port) if words.port is not None else None,
    }
    for name, value in given.items():
        found += ["--%s=%s" % (name, value)] if value is not None else []
    return found


def _environment(layout: Layout) -> Dict[str, str]:
    found = {name: value for name, value in os.environ.items() if name in CARRIED or name.startswith("ASCEND")}
    others = [path for path in [os.environ.get("PYTHONPATH")] if path]
    found["PYTHONPATH"] = ":".join([os.path.join(layout.root, *LINK.split("/")), *others])
    found["PYTHONNOUSERSITE"] = "1"
    return found
