"""Ansible inventories, as data: the INI and the YAML form (docs.ansible.com, "How to build your inventory"), and the
JSON of `ansible-inventory --list`. Nothing of Ansible is run: no plugins, no templates, no vault.

Read of a host: ansible_host, ansible_port, ansible_user, ansible_connection, ansible_ssh_private_key_file,
ansible_python_interpreter, ProxyJump in ansible_ssh_common_args; edgewright_address, edgewright_target,
edgewright_root, edgewright_options. Its other variables are variables here, and labels where they are short text.
Whether host keys are checked is never taken from there: they are.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from edgewright.core.errors import ConfigError
from edgewright.pipeline.fleet.selection import LABEL

MOST_OF_A_RANGE = 100_000
DEEPEST = 32
RESERVED = ("name", "group", "target")
_RANGE = re.compile(r"\[([0-9]{1,9}|[a-zA-Z]):([0-9]{1,9}|[a-zA-Z])(?::([0-9]{1,6}))?\]")
_JUMP = re.compile(r"(?:-o\s*ProxyJump=|-J\s*)([A-Za-z0-9_.@:,\[\]-]+)")


@dataclass
class Group:
    """`hosts` maps a name to the variables given beside it."""

    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    children: list[str] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)


def hosts(data: Any, where: str) -> dict[str, dict[str, Any]]:
    """Every host as an entry of our own inventory. `data` is the YAML, the JSON, or what `read_ini` gave."""
    if not isinstance(data, dict):
        raise ConfigError(f"{where} is no inventory.", "Write `devices:`, or an Ansible inventory.")
    groups: dict[str, Group] = {}
    shared: dict[str, Any] = {}
    if any(isinstance(body, dict) and isinstance(body.get("hosts"), list) for body in data.values()) or "_meta" in data:
        shared = _listed(data, groups, where)
    else:
        for name, body in data.items():
            _nested(str(name), body, groups, where, 0)
    return {
        host: _entry(host, variables, names, where) for host, (variables, names) in _resolved(groups, shared, where)
    }


def read_ini(text: str, where: str) -> dict[str, Any]:
    """The INI form as the YAML form has it."""
    found: dict[str, dict[str, Any]] = {}
    section, kind = "ungrouped", "hosts"
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        place = f"{where}, line {number}"
        if not line or line[0] in "#;":
            continue
        header = re.fullmatch(r"\[([^\[\]:\s]+)(?::(children|vars))?\]\s*(?:[#;].*)?", line)
        if header:
            section, kind = header[1], header[2] or "hosts"
            found.setdefault(section, {})
            continue
        body = found.setdefault(section, {}).setdefault(kind, {})
        if kind == "children":
            body[line.split()[0]] = {}
        elif kind == "vars":
            key, equals, value = line.partition("=")
            if not equals:
                raise ConfigError(f"{place}: '{line[:80]}' is no variable.", "Write name=value.")
            body[key.strip()] = value.strip().strip("'\"")
        else:
            _host_line(line, body, place)
    return found


def _host_line(line: str, body: dict[str, Any], place: str) -> None:
    try:
        pattern, *words = shlex.split(line, comments=True)
    except ValueError as error:
        raise ConfigError(f"{place} cannot be read: {error}.", "Mend its quotes.") from None
    variables: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"{place}: '{word[:80]}' is no variable.", "Write name=value after the host.")
        variables[key] = value
    for name in _expanded(pattern, place):
        host, port = name, ""
        if re.fullmatch(r"[^:\[\]]+:\d{1,5}", name):
            host, port = name.split(":")
        body[host] = {**body.get(host, {}), **({"ansible_port": port} if port else {}), **variables}


def _expanded(pattern: str, place: str) -> Iterator[str]:
    """`web[01:10].example.org` → its ten names."""
    found = _RANGE.search(pattern)
    if found is None:
        if "[" in pattern:
            raise ConfigError(f"{place}: the range in '{pattern[:80]}' cannot be read.", "Write [01:10] or [a:f].")
        yield pattern
        return
    first, last, step = found[1], found[2], int(found[3] or 1)
    digits = first.isdigit() and last.isdigit()
    low, high = (int(first), int(last)) if digits else (ord(first[0]), ord(last[0]))
    if first.isdigit() != last.isdigit() or step < 1 or high < low or (high - low) // step >= MOST_OF_A_RANGE:
        raise ConfigError(f"{place}: the range in '{pattern[:80]}' cannot be.", "Write [01:10] or [a:f].")
    for value in range(low, high + 1, step):
        item = str(value).zfill(len(first)) if digits else chr(value)
        yield from _expanded(pattern[: found.start()] + item + pattern[found.end() :], place)


def _nested(name: str, body: Any, groups: dict[str, Group], where: str, depth: int) -> None:
    """A group of the YAML form, and those under it."""
    if depth > DEEPEST:
        raise ConfigError(f"{where}: the groups are nested too deeply.", "Write them flatter.")
    group, body = groups.setdefault(name, Group()), _mapping(body, f"{where}: {name}")
    for key in body:
        if key not in ("hosts", "children", "vars"):
            raise ConfigError(f"{where}: {name}: unknown key '{key}'.", "A group has hosts, children and vars.")
    for host, variables in _mapping(body.get("hosts"), f"{where}: {name}.hosts").items():
        for each in _expanded(host, f"{where}: {name}"):
            group.hosts[each] = {**group.hosts.get(each, {}), **_mapping(variables, f"{where}: {name}.{each}")}
    group.variables.update(_mapping(body.get("vars"), f"{where}: {name}.vars"))
    for child, inner in _mapping(body.get("children"), f"{where}: {name}.children").items():
        group.children.append(child)
        _nested(child, inner, groups, where, depth + 1)


def _listed(data: Mapping[str, Any], groups: dict[str, Group], where: str) -> dict[str, Any]:
    """Groups of the JSON form; gives the variables of its hosts."""
    for name, raw in data.items():
        if name == "_meta":
            continue
        body = _mapping({"hosts": raw} if isinstance(raw, list) else raw, f"{where}: {name}")
        group = groups.setdefault(str(name), Group())
        for key in ("hosts", "children"):
            if not isinstance(body.get(key) or [], list):
                raise ConfigError(f"{where}: {name}.{key} is no list.", "Give what `ansible-inventory --list` prints.")
        group.hosts.update({str(host): {} for host in body.get("hosts") or []})
        group.children += [str(child) for child in body.get("children") or []]
        group.variables.update(_mapping(body.get("vars"), f"{where}: {name}.vars"))
    meta = _mapping(data.get("_meta"), f"{where}: _meta")
    return _mapping(meta.get("hostvars"), f"{where}: _meta.hostvars")


def _resolved(
    groups: dict[str, Group], shared: Mapping[str, Any], where: str
) -> Iterator[tuple[str, tuple[dict[str, Any], tuple[str, ...]]]]:
    """(host, (its variables, its groups)): what a group says counts less than what a group in it says."""
    parents: dict[str, set[str]] = {name: set() for name in groups}
    for name, group in groups.items():
        for child in group.children:
            parents.setdefault(child, set()).add(name)
    depths: dict[str, int] = {}
    for name in parents:
        _depth(name, parents, depths, (), where)
    order: dict[str, set[str]] = {}
    for name, group in groups.items():
        for host in group.hosts:
            order.setdefault(host, set()).update(_ancestors(name, parents))
    for host, names in order.items():
        ranked = sorted(names, key=lambda name: (name != "all", depths[name], name))
        variables: dict[str, Any] = {}
        for name in ranked:
            variables.update(groups[name].variables if name in groups else {})
        for name in ranked:
            variables.update(groups[name].hosts.get(host, {}) if name in groups else {})
        variables.update(_mapping(shared.get(host), f"{where}: {host}"))
        yield host, (variables, tuple(name for name in ranked if name not in ("all", "ungrouped")))


def _depth(
    name: str, parents: Mapping[str, set[str]], depths: dict[str, int], path: tuple[str, ...], where: str
) -> int:
    if name in path or len(path) > DEEPEST:
        raise ConfigError(f"{where}: the group {name} contains itself.", "Take it out of its children.")
    if name not in depths:
        above = [_depth(parent, parents, depths, (*path, name), where) for parent in parents.get(name, ())]
        depths[name] = 1 + max(above, default=0)
    return depths[name]


def _ancestors(name: str, parents: Mapping[str, set[str]]) -> set[str]:
    found, left = set(), [name]
    while left:
        each = left.pop()
        if each not in found:
            found.add(each)
            left += parents.get(each, ())
    return found


def _entry(host: str, given: Mapping[str, Any], groups: tuple[str, ...], where: str) -> dict[str, Any]:
    """A host as an entry of our own inventory."""
    place = f"{where}: {host}"
    own = {key: value for key, value in given.items() if not key.startswith(("ansible_", "edgewright_"))}
    plain = {key: str(value) for key, value in own.items() if isinstance(value, (str, int, float))}
    plain = {key: value for key, value in plain.items() if len(value) <= 256 and value.isprintable()}
    labels = {key: value for key, value in plain.items() if LABEL.fullmatch(key) and key not in RESERVED}
    options = _mapping(given.get("edgewright_options"), f"{place}: edgewright_options")
    entry: dict[str, Any] = {"groups": list(groups), "labels": labels, "vars": plain, "options": options}
    for key in ("target", "root"):
        if f"edgewright_{key}" in given:
            entry[key] = _said(given, f"edgewright_{key}", place)
    entry["address"] = _said(given, "edgewright_address", place) or _address(host, given, place)
    return entry


def _address(host: str, given: Mapping[str, Any], place: str) -> str:
    connection = _said(given, "ansible_connection", place) or "ssh"
    if connection == "local":
        return "local"
    if connection not in ("ssh", "paramiko", "smart", "libssh", "ansible.builtin.ssh", "paramiko_ssh"):
        raise ConfigError(
            f"{place} is reached by {connection[:40]}, not SSH.", "Leave it out, or give edgewright_address."
        )
    name = _said(given, "ansible_host", place) or _said(given, "ansible_ssh_host", place) or host
    user = _said(given, "ansible_user", place) or _said(given, "ansible_ssh_user", place)
    port = _said(given, "ansible_port", place) or _said(given, "ansible_ssh_port", place)
    options = {
        "identity": _said(given, "ansible_ssh_private_key_file", place),
        "python": _said(given, "ansible_python_interpreter", place).removeprefix("auto_silent").removeprefix("auto"),
        "jump": _jump(_said(given, "ansible_ssh_common_args", place)),
    }
    text = "ssh://" + (f"{quote(user, safe='')}@" if user else "") + (f"[{name}]" if ":" in name else name)
    text += f":{port}" if port else ""
    said = "&".join(f"{key}={quote(value, safe='/:@,.')}" for key, value in options.items() if value)
    return f"{text}?{said}" if said else text


def _jump(arguments: str) -> str:
    found = _JUMP.search(arguments)
    return found[1] if found else ""


def _said(given: Mapping[str, Any], key: str, place: str) -> str:
    value = given.get(key)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ConfigError(f"{place}: {key} is {str(value)[:80]!r}.", "It should be text.")
    text = str(value)
    if "{{" in text or "{%" in text or text.startswith("$ANSIBLE_VAULT"):
        raise ConfigError(
            f"{place}: {key} is a template or a secret, which only Ansible can read.",
            "Write its value, or leave it out.",
        )
    return text


def _mapping(value: Any, place: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{place} is {str(value)[:80]!r}.", "It should be a mapping of keys.")
    return {str(key): item for key, item in value.items()}
