"""Connect: from a target's address to an open link, through the transport that knows the scheme."""

from __future__ import annotations

from edgewright import transports
from edgewright.core.config import TargetConfig
from edgewright.core.contracts import Link
from edgewright.core.errors import ConfigError
from edgewright.core.plugs import did_you_mean
from edgewright.pipeline.project import Project


async def connect(project: Project, target: TargetConfig) -> Link:
    """An open link to the target's device. `local` devices live in the store's `devices/<name>`."""
    scheme = target.device.partition("://")[0]
    known: dict[str, str] = {}
    for name in transports.names():
        for spoken in transports.get(name).schemes:
            known[spoken] = name
    if scheme not in known:
        raise ConfigError(
            f"No transport speaks '{scheme}' (device {target.device}).", did_you_mean(scheme, tuple(sorted(known)))
        )
    root = target.root or (str(project.store.root / "devices" / target.name) if scheme == "local" else "")
    return await transports.get(known[scheme]).open(target.device, root=root)
