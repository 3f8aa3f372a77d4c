"""Starts one of the tools: `python launch.py <tool> arguments…`; the wrappers in bin/ call it."""

from __future__ import annotations

import importlib
import signal
import sys
from pathlib import Path

TOOLS = {"atc": "atc.main", "amct_onnx": "amct.main", "msprof": "msprof.main", "npu-smi": "npu_smi.main"}


def start() -> int:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `npu-smi info | head` ends quietly
    module = importlib.import_module(f"cannsim_tools.{TOOLS[sys.argv[1]]}")
    return int(module.main(sys.argv[2:]))


if __name__ == "__main__":
    sys.exit(start())
