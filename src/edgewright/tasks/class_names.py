"""Class names from what a user has: a list, a names file, or an Ultralytics data.yaml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgewright.core.errors import InputError

MAX_FILE_BYTES = 4 << 20


def class_names(given: str | Sequence[str] | None, known: Sequence[str], count: int | None) -> tuple[str, ...]:
    """The names in the order of the model's classes.

    `given` is `task.labels`; `known` are the model file's own; `count` the model's number of classes,
    where it can be told. InputError where the names do not fit the count.
    """
    if given is None:
        if count is None or len(known) == count:
            return tuple(known)
        return tuple(f"class{k}" for k in range(count))
    names = read_names(Path(given)) if isinstance(given, str) else tuple(str(name) for name in given)
    if count is not None and len(names) != count:
        raise InputError(
            f"task.labels holds {len(names)} names, but the model has {count} classes.",
            "Give one name per class, in the order of the training.",
        )
    return names


def read_names(path: Path) -> tuple[str, ...]:
    """The names in a file: one a line, or the `names` of a .yaml. InputError where there are none."""
    text = read_text(path)
    if path.suffix in (".yaml", ".yml"):
        names = yaml_names(read_yaml(path), path)
    else:
        names = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not names:
        raise InputError(f"{path} holds no class names.", "Write one name a line.")
    return names


def read_text(path: Path) -> str:
    """A small text file. InputError where it is missing, too large or no UTF-8."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{path} is over {MAX_FILE_BYTES >> 20} MiB.", "A list of names is a short file.")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}.", "Check the path.") from None


def read_yaml(path: Path) -> Mapping[str, Any]:
    """A YAML file that holds a mapping. InputError otherwise."""
    import yaml

    try:
        data = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise InputError(f"{path} is no YAML: {' '.join(str(error).split())[:200]}.", "Mend the file.") from None
    if not isinstance(data, dict):
        raise InputError(f"{path} is no mapping of keys.", "Write it as an Ultralytics data.yaml.")
    return data


def yaml_names(data: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """`names` of a data.yaml: a list, or a mapping from 0, 1, … InputError for another form."""
    names = data.get("names")
    if names is None:
        return ()
    if isinstance(names, list):
        return tuple(str(name) for name in names)
    if isinstance(names, dict) and sorted(names) == list(range(len(names))):
        return tuple(str(names[k]) for k in range(len(names)))
    raise InputError(f"`names` in {path} is neither a list nor a mapping from 0 on.", "Number the classes from 0.")
