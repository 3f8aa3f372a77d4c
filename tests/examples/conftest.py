"""The examples are scripts in folders of their own, not a package: a test asks for one by its path."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest


@pytest.fixture
def example(root, monkeypatch) -> Iterator[Callable[[str], ModuleType]]:
    """`example("digits/scenes.py")`: that file as a module, imported as it is when its folder's scripts are run."""
    imported: list[str] = []

    def load(path: str) -> ModuleType:
        file = root / "examples" / path
        monkeypatch.syspath_prepend(str(file.parent))
        imported.extend(p.stem for p in file.parent.glob("*.py"))
        return importlib.import_module(file.stem)

    yield load
    for name in imported:  # another example's script may have the same name
        sys.modules.pop(name, None)


@pytest.fixture
def scenes(example) -> ModuleType:
    return example("digits/scenes.py")
