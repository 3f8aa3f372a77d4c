"""Find: what a word of the user's names — a file that is there, and the source that reads it as a model."""

from __future__ import annotations

import difflib
import sys
from importlib.util import find_spec
from pathlib import Path

from edgewright import sources
from edgewright.core.contracts import Source
from edgewright.core.errors import InputError
from edgewright.core.model import ModelSpec

LAST_RESORT = ("torch",)
"""Catch-all readers come last: a yolov5 checkpoint is also "some torch file"."""

SUFFIXES = (".yaml", ".yml", ".json")
SHOWN = 3


def source_for(spec: ModelSpec) -> Source:
    """The source that reads this model. InputError where the file is not there, or where no source reads it."""
    path = Path(spec.source)
    must_exist(spec.source)
    for name in sorted(sources.names(), key=lambda name: (name in LAST_RESORT, name)):
        member = sources.get(name)
        if member.matches(spec):
            return member
    remedy = "Export it to ONNX, or name its format with `model: {format: …}`."
    if path.is_dir():
        remedy = _instead(path)
    elif path.suffix in (".pb", ".prototxt", ".air"):
        remedy = (
            "Export it to ONNX; or, for Ascend, `edgewright export-code convert` hands it to the vendor's converter."
        )
    raise InputError(f"No source can read {path.name} as a model.", remedy)


def must_exist(source: str) -> None:
    """InputError where a named file is not there, with the one that was probably meant; of `file.py:factory` that is
    the file, of `module:factory` the module. `package://…` and `null` name no file."""
    named, colon, factory = source.rpartition(":")
    path = Path(named if colon else source).expanduser()
    if source == "null" or Path(source).exists():
        return
    if (not colon or path.suffix == ".py") and not path.exists():
        raise InputError(f"There is no file {path}.", _instead(path))
    top = named.partition(".")[0]  # finding what is inside a package would run the package
    if factory.isidentifier() and top.isidentifier() and top not in sys.modules and find_spec(top) is None:
        raise InputError(f"There is no module {top}.", "Check the name; `module:factory` is a callable of a module.")


def _instead(path: Path) -> str:
    """The same name with a suffix, the configuration in that folder, the nearest name, or what there is."""
    for same in (*(path.with_name(path.name + suffix) for suffix in SUFFIXES), path / "edgewright.yaml"):
        if same.is_file():
            return f"Did you mean {same}?"
    try:
        beside = sorted(entry.name for entry in path.parent.iterdir() if entry.is_file())
    except OSError:
        return f"There is no folder {path.parent} either; check the path."
    near = difflib.get_close_matches(path.name, beside, n=1)
    if near:
        return f"Did you mean {path.with_name(near[0])}?"
    found = [name for name in beside if name.endswith((".yaml", ".yml"))]
    if not found:
        return "Check the path, or make a configuration with `edgewright init MODEL`."
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f"In {path.parent} there are {', '.join(found[:SHOWN])}{more}; `edgewright init MODEL` makes another."
