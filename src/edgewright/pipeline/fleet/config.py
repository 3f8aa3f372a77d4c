"""The file of a fleet: its inventory, what each kind of device gets, and in which waves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from edgewright.core.config import ServeConfig, expand
from edgewright.core.errors import ConfigError
from edgewright.core.plugs import did_you_mean
from edgewright.pipeline.fleet.documents import parse_document, read_text
from edgewright.pipeline.fleet.inventory import Device
from edgewright.pipeline.fleet.selection import parse as parse_selection

REMEDY = "See docs/fleet.md for the format."


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FleetSection(_Section):
    """Which devices."""

    inventory: str = Field(description="The file that lists the devices; it starts at this file's folder.")
    select: str = Field("", description="Only these devices of it, as `site=a`.")

    @field_validator("select")
    @classmethod
    def _selects(cls, value: str) -> str:
        parse_selection(value)
        return value


class ReleaseSource(_Section):
    """Where the release for one kind of device comes from: a project's chosen candidate, or a bundle on disk."""

    project: str | None = Field(None, description="A configuration (edgewright.yaml) whose run chooses it.")
    target: str | None = Field(None, description="That project's target; none = the only one.")
    bundle: str | None = Field(None, description="A bundle's folder, instead of a project.")
    p95_ms: float | None = Field(None, gt=0, description="Predicted p95; none = what the project measured.")

    @model_validator(mode="after")
    def _one(self) -> ReleaseSource:
        if (self.project is None) == (self.bundle is None):
            raise ValueError("give either project or bundle")
        if self.bundle is not None and self.target is not None:
            raise ValueError("target goes with a project, not with a bundle")
        return self


class Success(_Section):
    """When a wave may be followed by the next one."""

    percent: float = Field(100, ge=0, le=100, description="Of its devices that could be reached, updated.")
    p95_times: float | None = Field(
        None, gt=0, description="The median device's p95 is at most this many times the predicted one."
    )


class Errors(_Section):
    """When a wave is stopped at once."""

    max: int = Field(0, ge=0, description="Devices that may fail. One more, and no further device is begun.")


class WaveConfig(_Section):
    """One wave of the rollout: which devices, and what must hold before the next."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,62}$", description="Your name for it.")
    select: str = Field("", description="Of the devices that no earlier wave has, those that this selects.")
    size: int | None = Field(None, ge=1, description="So many of them at most, in the inventory's order.")
    percent: float | None = Field(None, gt=0, le=100, description="Or this part of them, rounded up.")
    success: Success = Success()
    errors: Errors = Errors()
    bake_s: float = Field(0, ge=0, le=30 * 86400, description="Wait so long; then every device is asked again.")

    @field_validator("select")
    @classmethod
    def _selects(cls, value: str) -> str:
        parse_selection(value)
        return value

    @model_validator(mode="after")
    def _one_measure(self) -> WaveConfig:
        if self.size is not None and self.percent is not None:
            raise ValueError("give size or percent, not both")
        return self


class RolloutConfig(_Section):
    """How the release spreads."""

    waves: tuple[WaveConfig, ...] = Field((), description="In this order; devices left over make a last one.")
    concurrency: int = Field(64, ge=1, le=2000, description="Devices that are worked on at a time.")
    attempts: int = Field(3, ge=1, le=20, description="Times that a device is tried in one run.")
    pause_s: float = Field(
        1, ge=0, le=3600, description="Seconds before the second attempt; doubled for each one more."
    )
    timeout_s: float = Field(
        1800, gt=0, description="Seconds that one attempt at a device may take, and serve.bake_s on top of them."
    )

    @model_validator(mode="after")
    def _distinct(self) -> RolloutConfig:
        names = [wave.name for wave in self.waves]
        if len(set(names)) != len(names):
            raise ValueError("two waves have the same name")
        return self


class FleetConfig(_Section):
    """A fleet's file."""

    fleet: FleetSection
    release: dict[str, ReleaseSource] = Field(min_length=1, description="By target, as devices name it.")
    rollout: RolloutConfig = RolloutConfig()
    serve: dict[str, Any] = Field(default_factory=dict, description="As in edgewright.yaml; {name} is a variable.")

    @field_validator("release", mode="before")
    @classmethod
    def _alone(cls, value: Any) -> Any:
        """One source for every device may be written without a target's name."""
        if isinstance(value, dict) and value and set(value) <= set(ReleaseSource.model_fields):
            return {"all": value}
        return value


def is_fleet(path: Path) -> bool:
    """Whether the file is a fleet's. Never raises: what cannot be read is somebody else's to complain of."""
    if path.suffix not in (".yaml", ".yml"):
        return False
    try:
        with path.open(encoding="utf-8") as file:
            return any(re.match(r"fleet\s*:", line) for line in file.readlines(1 << 20))
    except (OSError, ValueError):
        return False


def read_fleet(path: Path) -> FleetConfig:
    """The file, checked; its paths are as written. ConfigError that names the key."""
    data = parse_document(read_text(path), str(path))
    if not isinstance(data, dict):
        raise ConfigError(f"{path} is not a mapping of keys.", REMEDY)
    try:
        return FleetConfig.model_validate(expand(data))
    except ValidationError as error:
        raise _explained(error, str(path)) from None


def serve_for(config: FleetConfig, device: Device, where: str) -> ServeConfig:
    """The `serve:` section with the device's variables. ConfigError for a variable that it does not have."""

    def filled(match: re.Match[str]) -> str:
        known = {**device.variables, "name": device.name}
        if match[1] not in known:
            raise ConfigError(
                f"{where}: serve: the device {device.name} has no variable '{match[1]}'.",
                did_you_mean(match[1], tuple(known)),
            )
        return known[match[1]]

    values = {
        key: re.sub(r"\{([A-Za-z_]\w*)\}", filled, value) if isinstance(value, str) else value
        for key, value in config.serve.items()
    }
    try:
        return ServeConfig.model_validate(values)
    except ValidationError as error:
        told = _explained(error, f"{where}: serve, for {device.name}")
        raise told from None


def release_of(config: FleetConfig, device: Device, where: str) -> str:
    """The key in `release:` for this device. ConfigError where it names none that there is."""
    known = tuple(config.release)
    if not device.target and len(known) == 1:
        return known[0]
    if device.target in known:
        return device.target
    if known == ("all",):
        return "all"
    said = f"names the target '{device.target}'" if device.target else "names no target"
    raise ConfigError(f"{where}: the device {device.name} {said}.", did_you_mean(device.target, known))


def _explained(error: ValidationError, where: str) -> ConfigError:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return ConfigError(
            f"{where}: unknown key '{place}'.", did_you_mean(str(first["loc"][-1]), _siblings(first["loc"]))
        )
    if first["type"] == "missing":
        return ConfigError(f"{where}: '{place}' is missing.", REMEDY)
    if first["type"] == "value_error":
        reason = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
        return ConfigError(f"{where}: {place + ': ' if place else ''}{reason}.", REMEDY)
    wanted = str(first["msg"]).removeprefix("Input should ")
    return ConfigError(f"{where}: {place}: {str(first['input'])[:80]!r} should {wanted}.", REMEDY)


def _siblings(location: Sequence[int | str]) -> tuple[str, ...]:
    """The keys that could have been meant at a place of a fleet's file."""
    section: Any = {
        (): FleetConfig, ("fleet",): FleetSection, ("rollout",): RolloutConfig, ("rollout", "waves"): WaveConfig,
        ("rollout", "waves", "success"): Success, ("rollout", "waves", "errors"): Errors,
    }.get(tuple(str(part) for part in location[:-1] if not isinstance(part, int)), ReleaseSource)  # fmt: skip
    return tuple(section.model_fields)
