"""Connect: from a target's address to an open link, through the transport that knows the scheme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgewright import targets, transports
from edgewright.core.config import TargetConfig
from edgewright.core.contracts import Completed, Link, Process, Stat
from edgewright.core.errors import ConfigError
from edgewright.core.plugs import did_you_mean
from edgewright.pipeline.project import Project
from edgewright.store.cache import Store


async def connect(project: Project, target: TargetConfig) -> Link:
    """An open link to the target's device. `local` devices live in the store's `devices/<name>`."""
    return await connect_in(project.store, target)


async def connect_in(store: Store, target: TargetConfig) -> Link:
    """As `connect`, for a device of no project. Without its family here, programs get no variables."""
    scheme = target.device.partition("://")[0]
    known: dict[str, str] = {}
    for name in transports.names():
        for spoken in transports.get(name).schemes:
            known[spoken] = name
    if scheme not in known:
        raise ConfigError(
            f"No transport speaks '{scheme}' (device {target.device}).", did_you_mean(scheme, tuple(sorted(known)))
        )
    root = target.root or (str(store.root / "devices" / target.name) if scheme == "local" else "")
    link = await transports.get(known[scheme]).open(target.device, root=root)
    family = targets.get(target.family) if target.family in targets.names() else None
    surroundings = getattr(family, "environment", None)
    if surroundings is None:
        return link
    try:
        return Surrounded(link, await surroundings(link, target.settings))
    except BaseException:
        await link.close()
        raise


class Surrounded:
    """A link whose programs all get a family's variables: no login shell reads its settings for them."""

    def __init__(self, link: Link, environment: Mapping[str, str]) -> None:
        self._link, self.environment = link, dict(environment)
        self.address, self.python, self.root = link.address, link.python, link.root
        self.scratch, self.shares_files = link.scratch, link.shares_files

    async def run(
        self, argv: Sequence[str], *, stdin: str = "", env: Mapping[str, str] | None = None, timeout_s: float = 600
    ) -> Completed:
        return await self._link.run(argv, stdin=stdin, env=self._with(env), timeout_s=timeout_s)

    async def start(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Process:
        return await self._link.start(argv, env=self._with(env))

    async def put(self, local: Path, remote: str) -> None:
        await self._link.put(local, remote)

    async def get(self, remote: str, local: Path) -> None:
        await self._link.get(remote, local)

    async def stat(self, remote: str) -> Stat | None:
        return await self._link.stat(remote)

    async def close(self) -> None:
        await self._link.close()

    def _with(self, env: Mapping[str, str] | None) -> dict[str, str]:
        """Both; lists of folders that both name are joined, the program's own first."""
        joined = {**self.environment, **(env or {})}
        for name in ("PYTHONPATH", "LD_LIBRARY_PATH", "PATH"):
            parts = [part[name] for part in (env or {}, self.environment) if part.get(name)]
            if parts:
                joined[name] = ":".join(parts)
        return joined
