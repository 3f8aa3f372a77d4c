"""Sends one image (or .npz of tensors) to the running service of a configuration and prints its answer.

    python examples/ask.py examples/digits/edgewright.yaml [FILE]

Without a file the first sample that the run kept as golden is sent. Standard library only: this is all a client needs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

KINDS = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".npy": "application/octet-stream"}


def service(configuration: str) -> dict[str, str]:
    """The first device of `edgewright status` that serves."""
    command = [sys.executable, "-c", "from edgewright.cli import main; main()", "status", configuration, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for device in json.loads(done.stdout)["devices"]:
        if device["url"]:
            return {"url": device["url"], "root": device["root"]}
    raise SystemExit("No service is running. Start one with: make demo")


def golden_sample(root: Path) -> Path:
    """Any sample that travels in the live release; .npy files hold decoded pixels or one tensor."""
    found = sorted(p for p in (root / "current").rglob("golden/*") if p.suffix in (".npy", ".npz"))
    if not found:
        raise SystemExit(f"There is no golden sample in {root}: name a file to send.")
    return found[0]


def main() -> None:
    place = service(sys.argv[1])
    file = Path(sys.argv[2]) if len(sys.argv) > 2 else golden_sample(Path(place["root"]))
    kind = KINDS.get(file.suffix.lower(), "application/octet-stream")
    request = urllib.request.Request(f"{place['url']}/infer", file.read_bytes(), {"Content-Type": kind})
    began = time.monotonic()
    with urllib.request.urlopen(request, timeout=30) as answer:
        said = json.load(answer)
    took = (time.monotonic() - began) * 1000
    print(f"POST {place['url']}/infer {file.name}: answered in {took:.1f} ms")
    print(json.dumps(said)[:400])


if __name__ == "__main__":
    main()
