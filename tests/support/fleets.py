"""A small fleet under test: device folders of this machine, or sshds, and a fleet's file that names them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from board import Bakery

from edgewright.device import install
from edgewright.device.release import Layout
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.fleet import hub
from edgewright.pipeline.fleet.fleet import Fleet, open_fleet
from edgewright.pipeline.fleet.hub import Standing
from edgewright.pipeline.fleet.releases import releases
from edgewright.pipeline.progress import Silent


class Yard:
    """`devices` maps names to entries of the inventory; `write` makes the files anew."""

    def __init__(self, folder: Path, bakery: Bakery) -> None:
        self.folder, self.bakery = folder, bakery
        self.home, self.what = folder / "home", folder / "fleet.yaml"
        self.roots = {name: folder / "boards" / name for name in ("dev-1", "dev-2", "dev-3")}
        self.devices: dict[str, dict[str, Any]] = {
            name: {"address": "local", "root": str(root), "labels": {"site": "a" if name == "dev-1" else "b"}}
            for name, root in self.roots.items()
        }
        self.devices["dev-1"]["groups"] = ["canary"]
        self.rollout: dict[str, Any] = {
            "waves": [{"name": "canary", "select": "group=canary"}],
            "pause_s": 0.01,
            "attempts": 2,
            "concurrency": 2,
        }
        self.serve: dict[str, Any] = {"bake_s": 0}

    def write(self, bundles: Mapping[str, Bundle], **sections: Any) -> None:
        (self.folder / "inventory.yaml").write_text(yaml.safe_dump({"devices": self.devices, "groups": {}}))
        sources = {name: {"bundle": str(bundle.path)} for name, bundle in bundles.items()}
        whole = {"fleet": {"inventory": "inventory.yaml"}, "release": sources, "rollout": self.rollout}
        whole |= {"serve": self.serve, **sections}
        self.what.write_text(yaml.safe_dump(whole))

    def open(self, selection: str = "") -> Fleet:
        return open_fleet(str(self.what), selection=selection, home=self.home)

    def deploy(self, bundle: Bundle, *, resume: bool = False, tell: Callable[..., None] = lambda *_: None) -> Standing:
        return self.deploy_each({"all": bundle}, resume=resume, tell=tell)

    def deploy_each(
        self, bundles: Mapping[str, Bundle], *, resume: bool = False, tell: Callable[..., None] = lambda *_: None
    ) -> Standing:
        self.write(bundles)
        fleet = self.open()
        return hub.carry_out(fleet, releases(fleet, Silent()), resume=resume, tell=tell)

    def served(self) -> dict[str, tuple[int, str]]:
        """Of each device (number of the release, its digest), by its own word."""
        found = {}
        for name, root in self.roots.items():
            layout = Layout(str(root))
            own = layout.describe(layout.linked(layout.current) or "") or {}
            found[name] = (own.get("number", 0), own.get("digest", ""))
        return found

    def committed(self) -> dict[str, int]:
        """How often each device was changed, by its own journal."""
        journals = {name: root / "journal.jsonl" for name, root in self.roots.items()}
        return {name: journal.read_text().count('"committed"') for name, journal in journals.items()}

    def end(self) -> None:
        for root in self.roots.values():
            install.stop(Layout(str(root)), {})
