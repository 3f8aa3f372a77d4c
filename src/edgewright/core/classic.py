"""The eight-key `config.json` of older hand-written pipelines, read as a configuration of ours.

    {"model_name": "yolov5s", "workspace": "./workspace", "batch_size": 1, "target_soc": "Ascend310B1",
     "enable_int8": true, "calib_data": "./calib", "edge_device_ip": "192.168.1.2", "edge_device_user": "root"}

Each key that has no exact counterpart is answered by a note, so that nothing is dropped in silence.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from edgewright.core.config import expand
from edgewright.core.errors import ConfigError
from edgewright.core.plugs import Room, did_you_mean
from edgewright.core.recipe import PRECISIONS

KEYS: dict[str, type] = {
    "model_name": str, "workspace": str, "batch_size": int, "target_soc": str,
    "enable_int8": bool, "calib_data": str, "edge_device_ip": str, "edge_device_user": str,
}  # fmt: skip
SUFFIXES = ("", ".pt", ".onnx", ".pt2", ".ts", ".pth")
HOSTS_HERE = ("", "local", "localhost", "127.0.0.1", "::1")
FILES = ("identity", "known_hosts", "config")
CHIPS_HERE = ("", "cpu", "x86", "x86_64", "arm64", "aarch64", "local")
MAX_BYTES = 1 << 20
FAMILIES: Room[Any] = Room("targets", "target family")


def read(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Sections for `core.config.parse`, and notes. Relative paths in the result start at the file's folder.

    ConfigError for unknown keys, wrong kinds, a model that is not there, or a chip no target here serves.
    """
    data, notes = translate(path)
    family = data["targets"][0]["family"]
    known = FAMILIES.names()
    if family not in known:
        raise ConfigError(
            f"{path}: target_soc '{load(path).get('target_soc')}' needs the target family '{family}', which this "
            f"installation does not have (it has {', '.join(known)}).",
            f"Turn it into a configuration with `edgewright init --from {path.name}` and name another family there.",
        )
    return data, notes


def translate(path: Path) -> tuple[dict[str, Any], list[str]]:
    """As `read`, whether or not this installation has the target family."""
    old = load(path)
    notes: list[str] = []
    workspace = str(old.get("workspace") or ".")
    family = _family(str(old.get("target_soc", "")), notes)
    target: dict[str, Any] = {"name": "device", "family": family}
    if family == "cann":
        target["options"] = {"soc_version": str(old["target_soc"])}
    target["device"] = _device(str(old.get("edge_device_ip", "")), str(old.get("edge_device_user", "")), path.parent)
    if not old.get("enable_int8", True):
        rungs = FAMILIES.get(family).precisions if family in FAMILIES.names() else PRECISIONS
        target["precision"] = [p for p in rungs if p not in ("int8", "mixed")]
    batch = old.get("batch_size", 1)
    if batch != 1:
        notes.append(f"batch_size {batch} is not carried over: requests are served one by one; the report has batches.")
    data: dict[str, Any] = {"model": {"source": _model(path, workspace, str(old["model_name"]))}}
    samples = str(old.get("calib_data") or "")
    if samples:
        found = next((p for p in (samples, str(Path(workspace) / samples)) if (path.parent / p).exists()), None)
        if found is None:
            raise ConfigError(f"{path}: calib_data '{samples}' is not there.", "Mend the path, or leave the key empty.")
        data["data"] = {"calibration": {"path": found, "labels": "none"}}
        notes.append("calib_data is used without labels: accuracy is gated on agreement with the float model.")
    data["targets"] = [target]
    return data, notes


def load(path: Path) -> dict[str, Any]:
    """The eight keys as they stand, checked for name and kind."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path} is over 1 MiB.", "A config.json holds eight short keys.")
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no file {path}.", "Check the path.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read as JSON: {error}.", "Mend that place.") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path} is not a JSON object.", f"Its keys are {', '.join(KEYS)}.")
    for key, value in data.items():
        if key not in KEYS:
            raise ConfigError(f"{path}: unknown key '{key}'.", did_you_mean(key, tuple(KEYS)))
        if type(value) is not KEYS[key]:
            raise ConfigError(f"{path}: {key} is {value!r}.", f"It should be {_WORDS[KEYS[key]]}.")
    if not data.get("model_name"):
        raise ConfigError(f"{path}: 'model_name' is missing.", "Name the model's file.")
    if data.get("batch_size", 1) < 1:
        raise ConfigError(f"{path}: batch_size is {data['batch_size']}.", "It should be 1 or more.")
    return {key: expand(value) for key, value in data.items()}


_WORDS = {str: "text in quotes", int: "a whole number", bool: "true or false"}


def _family(soc: str, notes: list[str]) -> str:
    """`Ascend310B1` → cann, a family's own name → itself, a plain CPU → openvino."""
    if re.match(r"(?i)ascend|^\d{3}[a-z]?\d?$", soc):
        notes.append(f"target_soc {soc} is served by the target family cann.")
        return "cann"
    if soc.lower() in CHIPS_HERE:
        return "openvino"
    return soc.lower()


def _device(ip: str, user: str, base: Path) -> str:
    """`local` for this machine; else an address behind SSH. With a port (`127.0.0.1:2201`) this machine is a device
    behind SSH, too. What follows `?` are options of the address (transports/ssh); files among them start at `base`."""
    place, _, options = ip.partition("?")
    if place in HOSTS_HERE and not options:
        return "local"
    found = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?|([A-Za-z0-9._-]+):(\d{1,5})", place)
    host, port = (found[1] or found[3], found[2] or found[4] or "") if found else (place, "")
    wrong = not re.fullmatch(r"[A-Za-z0-9.:_-]+", host) or not re.fullmatch(r"[A-Za-z0-9._-]*", user)
    if wrong or (port and not 0 < int(port) < 65536) or any(letter.isspace() for letter in options):
        raise ConfigError(f"The device address '{user}@{ip}' is not one.", "Give edge_device_ip and edge_device_user.")
    address = (f"{user}@" if user else "") + (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    return f"ssh://{address}" + (f"?{_with_files(options, base)}" if options else "")


def _with_files(options: str, base: Path) -> str:
    """The options with the paths of files made absolute; what they may be, the transport knows."""
    given = (option.partition("=") for option in options.split("&"))
    return "&".join(
        f"{key}={(base / value).absolute() if key in FILES and value and not value.startswith('~') else value}"
        for key, _, value in given
    )


def _model(path: Path, workspace: str, name: str) -> str:
    places = [str(Path(folder) / (name + suffix)) for folder in ("", workspace) for suffix in SUFFIXES]
    found = next((p for p in places if (path.parent / p).is_file()), None)
    if found is None:
        raise ConfigError(
            f"{path}: there is no model '{name}' beside it nor in {workspace} (with {', '.join(SUFFIXES[1:])}).",
            "Put the model there, or give model_name with its path.",
        )
    return found
