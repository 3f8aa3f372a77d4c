"""OpenVINO and NNCF, imported with their telemetry left out.

Both report home through the package openvino_telemetry and take its absence as "send nothing": an entry of None in
`sys.modules` is that absence.
"""

from __future__ import annotations

import logging
import sys
from typing import Any


def openvino() -> Any:
    _silence()
    import openvino as library

    return library


def nncf() -> Any:
    _silence()
    import nncf as library

    library.set_log_level(logging.ERROR)
    return library


def _silence() -> None:
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
