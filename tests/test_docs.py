"""The documents say what is so: verbs, commands, links, dependencies, and the same thing in both languages."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from edgewright.cli.app import app

ENGLISH, CHINESE = "README.md", "README.zh-CN.md"


def _text(root: Path, name: str) -> str:
    return (root / name).read_text(encoding="utf-8")


def _pages(root: Path) -> list[Path]:
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=root,
        capture_output=True,
        text=True,
    )
    return [root / line for line in done.stdout.splitlines() if (root / line).is_file()]


def _verbs() -> dict[str, Any]:
    """Every verb by its words: those of a group as `bundle sign`."""
    found: dict[str, Any] = {}
    for name, verb in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(verb, "commands", None)
        found |= {f"{name} {own}": inner[own] for own in inner} if inner else {name: verb}
    return found


def test_the_page_of_the_verbs_is_the_one_generated(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "tools/write_cli_docs.py"], cwd=root, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert _text(root, "docs/cli.md") == done.stdout, "run `make docs`"


def test_every_verb_is_documented_and_answers_in_json(root: Path) -> None:
    page = _text(root, "docs/cli.md")
    for name, verb in _verbs().items():
        assert f"## `edgewright {name}" in page
        assert any("--json" in option.opts for option in verb.params), f"{name} has no --json"


def _commands(text: str) -> list[str]:
    """The shell lines of the fenced blocks, without comments."""
    blocks = re.findall(r"^```(?:sh|bash|console)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line.split("  #")[0].removeprefix("$ ").strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if re.match(r"(make|edgewright|\.venv/bin/edgewright|git|pip) ", line)]


@pytest.mark.parametrize("name", [ENGLISH, CHINESE, "docs/ascend.md", "docs/ascend.zh-CN.md"])
def test_commands_in_the_documents_exist(root: Path, name: str) -> None:
    commands = _commands(_text(root, name))
    verbs = _verbs()
    assert commands
    for command in commands:
        for part in command.split("&&"):
            words = shlex.split(part)
            if words[0] == "make":
                folder, goal = (words[2], words[3]) if words[1] == "-C" else (".", words[1])
                assert re.search(rf"^{goal}:", _text(root, f"{folder}/Makefile"), re.MULTILINE), command
            elif words[0].endswith("edgewright") and not words[1].startswith("-"):
                name = words[1] if words[1] in verbs else " ".join(words[1:3])
                assert name in verbs, command
                options = {o for p in verbs[name].params for o in (*p.opts, *p.secondary_opts)} | {"--help", "-h"}
                assert {w for w in words[2:] if w.startswith("-") and w != "-"} <= options, command


def _anchor(heading: str) -> str:
    """GitHub's rule: lower case, punctuation dropped, spaces to hyphens."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_links_in_the_documents_lead_somewhere(root: Path) -> None:
    broken = []
    for page in _pages(root):
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        text = re.sub(r"`[^`]*`", "", text)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, fragment = target.partition("#")
            place = (page.parent / path) if path else page
            if not place.exists():
                broken.append(f"{page.relative_to(root)}: {target}")
            elif fragment and place.suffix == ".md":
                headings = re.findall(r"^#+ (.+)$", place.read_text(encoding="utf-8"), re.MULTILINE)
                if fragment not in map(_anchor, headings):
                    broken.append(f"{page.relative_to(root)}: {target}")
    assert not broken, "\n".join(broken)


def test_both_readmes_tell_the_same(root: Path) -> None:
    english, chinese = _text(root, ENGLISH), _text(root, CHINESE)

    def levels(text: str) -> list[int]:
        outside = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
        return [len(hashes) for hashes in re.findall(r"^(#+) ", outside, re.MULTILINE)]

    def figures(text: str) -> list[str]:
        tables = "\n".join(line for line in text.splitlines() if line.startswith("|"))
        return re.findall(r"\d+(?:\.\d+)?", tables)

    assert levels(english) == levels(chinese)
    assert _commands(english) == _commands(chinese)
    assert figures(english) == figures(chinese)
    assert re.findall(r"\]\(([^)#]+\.md|docs/[^)]*)\)", english.replace(CHINESE, "")) == re.findall(
        r"\]\(([^)#]+\.md|docs/[^)]*)\)", chinese.replace(ENGLISH, "")
    )


def test_every_dependency_has_its_line(root: Path) -> None:
    project = tomllib.loads(_text(root, "pyproject.toml"))["project"]
    wanted = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    names = {re.split(r"[<>=!~ \[]", requirement)[0] for requirement in wanted}
    page = _text(root, "docs/dependencies.md")
    rows = {cell.strip() for line in page.splitlines() if line.startswith("|") for cell in line.split("|")}
    assert names <= rows, names - rows


def test_every_dependency_is_pinned(root: Path) -> None:
    project = tomllib.loads(_text(root, "pyproject.toml"))["project"]
    wanted = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    pinned = {line.split("==")[0].lower() for line in _text(root, "constraints.txt").splitlines() if "==" in line}
    names = {re.split(r"[<>=!~ \[]", requirement)[0].lower() for requirement in wanted}
    assert names <= pinned, names - pinned


def test_no_file_names_a_place_of_one_machine(root: Path) -> None:
    """Paths and hosts of whoever wrote a file have no business in it."""
    done = subprocess.run(
        ["git", "grep", "-nIE", r"/(work/(main|shared)|opt/(wheels|pypi))", "--", ".", ":!tests/test_docs.py"],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert done.stdout == ""
