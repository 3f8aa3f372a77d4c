"""Stop: the services of this machine that belong to a store, or those of a project, wherever its devices are."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError
from edgewright.core.record import Record
from edgewright.device import install
from edgewright.device.release import Layout, ReleaseError
from edgewright.device.serving import Serving
from edgewright.pipeline.connect import connect
from edgewright.pipeline.device_program import operate
from edgewright.pipeline.lease import held
from edgewright.pipeline.project import Project
from edgewright.store.cache import Store


@dataclass(frozen=True)
class Service(Record):
    """One device folder in which something runs. `url` is "" while it is starting."""

    target: str
    root: str
    url: str
    release: str


def running(store: Store) -> tuple[Service, ...]:
    """The services that run now under the store's `devices/`."""
    found = []
    for root in _roots(store):
        layout = Layout(str(root))
        serving = Serving(layout)
        if serving.running():
            found.append(Service(root.name, str(root), serving.url() or "", layout.linked(layout.current) or ""))
    return tuple(found)


def stop(store: Store) -> tuple[Service, ...]:
    """Ends them and says which they were. DeviceError where one does not end."""
    services = running(store)
    for service in services:
        try:
            install.stop(Layout(service.root), {})
        except ReleaseError as error:
            raise DeviceError(error.message, error.remedy) from None
    return services


def stop_targets(project: Project, *, dry_run: bool = False) -> tuple[Service, ...]:
    """Ends the service of every target's device and says which there were; with `dry_run` only says it."""
    return asyncio.run(_stop_targets(project, dry_run))


async def _stop_targets(project: Project, dry_run: bool) -> tuple[Service, ...]:
    found = []
    for target in project.config.targets:
        link = await connect(project, target)
        try:
            status = await operate(link, "status", {"runtimes": []})
            if status.get("running"):
                release = str((status.get("current") or {}).get("name") or "")
                found.append(Service(target.name, link.root, str(status.get("url") or ""), release))
                if not dry_run:
                    await stop_device(link)
        finally:
            await link.close()
    return tuple(found)


async def stop_device(link: Link) -> bool:
    """Ends the service of one device, wherever it is. True when one was running."""
    return bool((await held(link, "stop", {}))["stopped"])


def _roots(store: Store) -> list[Path]:
    devices = store.root / "devices"
    return sorted(p for p in devices.iterdir() if (p / "run").is_dir()) if devices.is_dir() else []
