"""The inventory: which devices a fleet has. A file of ours, an Ansible inventory (INI or YAML), or what
`ansible-inventory --list` prints.

    groups: {canary: {labels: {site: a}, vars: {camera: "0"}}}
    devices:
      dev-01: {address: "ssh://pi@10.0.0.11", target: cpu, groups: [canary], labels: {line: "3"}, vars: {camera: "1"}}

A device's own labels and variables count before those of its groups, and those of a group that is named later before
those of one that is named earlier. Options of an address that name files start at the inventory's folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from edgewright import transports
from edgewright.core.errors import ConfigError
from edgewright.core.plugs import did_you_mean
from edgewright.core.record import Record
from edgewright.pipeline.fleet import ansible
from edgewright.pipeline.fleet.documents import parse_document, read_text
from edgewright.pipeline.fleet.selection import LABEL
from edgewright.transports.address import Address, parse

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
MOST_DEVICES = 100_000
LONGEST = 4096
KEYS = ("address", "target", "root", "groups", "labels", "vars", "options")
GROUP_KEYS = ("labels", "vars", "target", "root", "options")
FILES_OF_AN_ADDRESS = ("identity", "known_hosts", "config")
SSH_PORT = 22
RESERVED = ("name", "group", "target")


@dataclass(frozen=True)
class Device(Record):
    """One device. `target` names the release it gets, "" where the fleet has but one; `options` are settings of the
    family there, as those of a project's target; `variables` fill `{name}` in the fleet's `serve:` section."""

    name: str
    address: str
    target: str = ""
    root: str = ""
    groups: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> Mapping[str, tuple[str, ...]]:
        own = {"name": (self.name,), "group": self.groups, "target": (self.target,)}
        return {**{label: (value,) for label, value in self.labels.items()}, **own}


def read_inventory(path: Path) -> tuple[Device, ...]:
    """The devices in the order in which they are written. ConfigError, with the place, for everything that is wrong."""
    text, where = read_text(path), str(path)
    if path.suffix in (".yaml", ".yml", ".json") or text.lstrip()[:1] == "{":
        data = parse_document(text, where)
        entries = _own(data, where) if isinstance(data, dict) and "devices" in data else ansible.hosts(data, where)
    else:
        entries = ansible.hosts(ansible.read_ini(text, where), where)
    if not entries:
        raise ConfigError(f"{where} has no devices.", "Write them under `devices:`.")
    if len(entries) > MOST_DEVICES:
        raise ConfigError(f"{where} has over {MOST_DEVICES} devices.", "Split it into several fleets.")
    found = tuple(_device(name, entry, where, path.absolute().parent) for name, entry in entries.items())
    _distinct(found, where)
    return found


def _own(data: Mapping[str, Any], where: str) -> dict[str, dict[str, Any]]:
    """Each device's entry with what its groups say."""
    for key in data:
        if key not in ("groups", "devices"):
            raise ConfigError(f"{where}: unknown key '{key}'.", did_you_mean(str(key), ("groups", "devices")))
    groups, devices = _mapping(data.get("groups"), f"{where}: groups"), data["devices"]
    if isinstance(devices, list):
        devices = {str(_mapping(item, f"{where}: devices").get("name")): item for item in devices}
        if len(devices) != len(data["devices"]):
            raise ConfigError(f"{where}: two devices have the same name.", "Names are unique.")
    found = {}
    for name, raw in _mapping(devices, f"{where}: devices").items():
        place = f"{where}: devices.{name}"
        entry = {key: value for key, value in _mapping(raw, place).items() if key != "name"}
        _known(entry, KEYS, place)
        found[str(name)] = _with_groups(entry, groups, place, where)
    return found


def _with_groups(entry: dict[str, Any], groups: Mapping[str, Any], place: str, where: str) -> dict[str, Any]:
    named = entry.get("groups") or []
    if not isinstance(named, list):
        raise ConfigError(f"{place}: groups is {str(named)[:80]!r}.", "Give a list of names.")
    whole: dict[str, Any] = {"labels": {}, "vars": {}, "options": {}}
    layers = []
    for group in named:
        layer = _mapping(groups.get(str(group)), f"{where}: groups.{group}")
        _known(layer, GROUP_KEYS, f"{where}: groups.{group}")
        layers.append(layer)
    for layer in (*layers, entry):
        for key, value in layer.items():
            merged = key in ("labels", "vars", "options")
            whole[key] = {**whole[key], **_mapping(value, f"{place}: {key}")} if merged else value
    return whole


def _device(name: str, entry: Mapping[str, Any], where: str, base: Path) -> Device:
    place = f"{where}: {name}"
    if not NAME.fullmatch(name):
        raise ConfigError(f"{where}: '{name[:80]}' is no name of a device.", "Use letters, digits, dots, _ and -.")
    if "address" not in entry:
        raise ConfigError(f"{place} has no address.", "Give `address: ssh://user@host`, or `local`.")
    groups = tuple(dict.fromkeys(_text(group, place) for group in entry.get("groups") or ()))
    labels = {str(key): _text(value, f"{place}: labels.{key}") for key, value in entry["labels"].items()}
    for label in labels:
        if not LABEL.fullmatch(label) or label in RESERVED:
            raise ConfigError(f"{place}: '{label[:80]}' cannot be a label.", f"Not {', '.join(RESERVED)}; no spaces.")
    return Device(
        name=name,
        address=_address(_text(entry["address"], f"{place}: address"), base, place),
        target=_text(entry.get("target") or "", f"{place}: target"),
        root=_text(entry.get("root") or "", f"{place}: root"),
        groups=groups,
        labels=labels,
        variables={str(key): _text(value, f"{place}: vars.{key}") for key, value in entry["vars"].items()},
        options=dict(entry["options"]),
    )


def _address(text: str, base: Path, place: str) -> str:
    """The address with its files made absolute."""
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise ConfigError(f"{place}: '{text[:120]}' is no address: {error}.", "Write ssh://user@host:port.") from None
    if text != "local" and not parts.scheme:
        raise ConfigError(f"{place}: '{text[:120]}' is no address.", "Write ssh://user@host:port, or local.")
    if (parts.scheme or text) not in _schemes():
        known = ", ".join(sorted(_schemes()))
        raise ConfigError(f"{place}: no transport speaks '{parts.scheme[:40]}'.", f"Known are {known}.")
    if not parts.query:
        return text
    given = [
        (key, str(base / Path(value).expanduser()) if key in FILES_OF_AN_ADDRESS and value else value)
        for key, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    return text.partition("?")[0] + "?" + "&".join(f"{key}={quote(value, safe='/:@,.')}" for key, value in given)


@cache
def _schemes() -> frozenset[str]:
    return frozenset(scheme for name in transports.names() for scheme in transports.get(name).schemes)


def identity(address: str) -> str:
    """What tells the device at this address from others: the way to it, however it is written. Which key opens it, or
    how fast the way is, is no part of it."""
    try:
        parsed = parse(address)
        jumps = ",".join(_lower(hop) for hop in parsed.jumps)
    except ConfigError:  # of a transport with addresses of its own, or told when it is opened
        return address.partition("?")[0]
    config = parsed.options.get("config", "")
    way = "&".join(f"{key}={value}" for key, value in (("jump", jumps), ("config", config)) if value)
    return _lower(parsed) + (f"?{way}" if way else "")


def _lower(address: Address) -> str:
    return str(replace(address, host=address.host.lower(), port=0 if address.port == SSH_PORT else address.port))


def _distinct(devices: tuple[Device, ...], where: str) -> None:
    """Two names for one device would send it everything twice."""
    seen: dict[tuple[str, str], str] = {}
    for device in devices:
        address = device.address.partition("?")[0]
        if address == "local" and not device.root:
            continue
        place = (identity(device.address), device.root)
        if place in seen:
            raise ConfigError(
                f"{where}: {device.name} and {seen[place]} are the same device, {address}.", "Keep one of the two."
            )
        seen[place] = device.name


def _mapping(value: Any, place: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{place} is {str(value)[:80]!r}.", "It should be a mapping of keys.")
    return {str(key): item for key, item in value.items()}


def _known(entry: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    for key in entry:
        if key not in known:
            raise ConfigError(f"{place}: unknown key '{key[:80]}'.", did_you_mean(key, known))


def _text(value: Any, place: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (str, int, float)):
        raise ConfigError(f"{place} is {str(value)[:80]!r}.", "It should be text or a number.")
    text = str(value)
    if len(text) > LONGEST or any(ord(letter) < 32 for letter in text):
        raise ConfigError(f"{place} is too long, or has control characters.", "Write it in one short line.")
    return text
