"""A fleet opened: its file checked against its inventory, before anything is asked of a device."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from edgewright.core.config import TargetConfig
from edgewright.core.errors import InputError
from edgewright.core.record import digest_of
from edgewright.pipeline.fleet.config import FleetConfig, read_fleet, release_of, serve_for
from edgewright.pipeline.fleet.inventory import Device, identity, read_inventory
from edgewright.pipeline.fleet.selection import select
from edgewright.store.cache import Store, default_root


@dataclass(frozen=True)
class Fleet:
    """`devices` are those that are meant, in the inventory's order; each names a release that there is."""

    path: Path
    config: FleetConfig
    devices: tuple[Device, ...]
    store: Store

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def ledger(self) -> Path:
        """Where this fleet's rollouts are remembered: one file for one configuration, wherever two are called alike."""
        path = self.path.resolve()  # a link to a fleet's file is no other fleet
        mark = hashlib.sha256(str(path).encode()).hexdigest()[:8]
        return self.store.root / "fleets" / f"{path.stem}-{mark}.sqlite"

    def device(self, name: str) -> Device:
        return next(device for device in self.devices if device.name == name)

    def place(self, device: Device) -> str:
        """What stands for the device itself: at another address, or for another release, it is another one."""
        return digest_of(identity(device.address), device.root, device.target)[:16]

    def target(self, device: Device, family: str) -> TargetConfig:
        """The device as pipeline.connect knows devices."""
        root = device.root or (str(self.store.root / "devices" / device.name) if device.address == "local" else None)
        return TargetConfig(
            name=device.name, family=family, device=device.address, root=root, options=dict(device.options)
        )


def counted(devices: int) -> str:
    return f"{devices} device{'' if devices == 1 else 's'}"


def beside(path: Path, named: str) -> Path:
    """What a fleet's file names, which starts at its folder, without `..` on the way."""
    found = path.parent / Path(named).expanduser()
    return found.parent.resolve() / found.name


def open_fleet(what: str, *, selection: str = "", home: Path | None = None) -> Fleet:
    """The fleet of a file, all of it or what `selection` selects. ConfigError for anything wrong in it or its
    inventory; InputError where nothing is selected."""
    path = Path(what).expanduser().absolute()
    config = read_fleet(path)
    known = read_inventory(beside(path, config.fleet.inventory))
    devices = select(known, config.fleet.select)
    found = tuple(
        replace(device, target=release_of(config, device, str(path))) for device in select(devices, selection)
    )
    if not found:
        raise InputError(
            f"No device of {len(known)} is selected by '{selection or config.fleet.select}'.",
            "See the inventory's labels; write label=value.",
        )
    for device in found:
        serve_for(config, device, str(path))
    return Fleet(path, config, found, Store(home or default_root()))
