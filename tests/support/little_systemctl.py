"""A stand-in for systemctl where systemd is not PID 1: it starts what a unit says, with a socket for its notifications.

Not systemd: of a unit it reads ExecStart and Environment, and it restarts nothing. Put on PATH as `systemctl`.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

UNITS = Path(os.environ["LITTLE_UNITS"])


def directives(text: str, name: str) -> list[str]:
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(name + "=")]


def start(name: str) -> None:
    text = (UNITS / name).read_text()
    said = [word.replace("%%", "%") for line in directives(text, "Environment") for word in shlex.split(line)]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "NOTIFY_SOCKET": str(UNITS / "notify"),
    }
    environment.update(assignment.split("=", 1) for assignment in said)
    null = subprocess.DEVNULL
    argv = shlex.split(directives(text, "ExecStart")[0].replace("$$", "$").replace("%%", "%"))
    process = subprocess.Popen(
        argv, env=environment, cwd="/", start_new_session=True, stdin=null, stdout=null, stderr=null
    )
    (UNITS / (name + ".pid")).write_text(str(process.pid))


def main(argv: list[str]) -> int:
    words = [word for word in argv if not word.startswith("--")]
    with (UNITS / "asked").open("a") as asked:
        asked.write(" ".join(argv) + "\n")
    if words[0] == "start":
        start(words[1])
    elif words[0] == "disable":
        pid = UNITS / (words[1] + ".pid")
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGTERM)
            pid.unlink()
    return 1 if words[0] == "is-failed" else 0


sys.exit(main(sys.argv[1:]))
