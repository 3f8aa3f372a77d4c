"""Assemble a service folder: the artefact's files, the device programs, `service.json`.

What is assembled here is what `check` runs, what `pack` seals and what the device serves.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import edgewright
from edgewright import targets, tasks
from edgewright.core.recipe import ServiceSpec

PACKAGE = Path(edgewright.__file__).parent


def assemble(service: ServiceSpec, folder: Path) -> None:
    """Puts `app/` and `service.json` beside the `model/` that a target wrote into `folder`."""
    app = folder / "app"
    device = app / "edgewright" / "device"
    device.mkdir(parents=True)
    shutil.copyfile(PACKAGE / "__init__.py", app / "edgewright" / "__init__.py")
    for source in sorted((PACKAGE / "device").glob("*.py")):
        shutil.copyfile(source, device / source.name)
    shutil.copyfile(targets.ROOM.place(service.family) / "ondevice.py", app / "engine.py")
    shutil.copyfile(tasks.ROOM.place(service.task.kind) / "ondevice.py", app / "task.py")
    text = json.dumps(service.to_json(), indent=1, sort_keys=True, ensure_ascii=False)
    (folder / "service.json").write_text(text + "\n", encoding="utf-8")
