"""The edge to the shell: exit codes, two sentences, one JSON object, no tracebacks."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from edgewright.core import errors


def _guarded(body: str, *words: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Runs `edgewright schema WORDS` whose work is replaced by `body`, in a process of its own."""
    program = textwrap.dedent(
        """
        import os, sys
        import edgewright.core.schema as schema
        from edgewright.core import errors

        def work():
        {body}

        schema.json_schema = work
        from edgewright.cli import main
        sys.argv = ["edgewright", "schema", *{words!r}]
        main()
        """
    ).format(body=textwrap.indent(textwrap.dedent(body), "    "), words=list(words))
    environment = {"EDGEWRIGHT_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60
    )


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        ("errors.PromiseError('It is missed.', 'Ask for less.')", 1),
        ("errors.ConfigError('It is wrong.', 'Mend it.')", 2),
        ("errors.InputError('It is wrong.', 'Mend it.')", 2),
        ("errors.UnsafeModelError('It runs code.', 'Do not.')", 2),
        ("errors.DeviceError('It is gone.', 'Plug it in.')", 3),
        ("errors.RejectedRelease('It is refused.', 'See why.')", 3),
        ("errors.ToolError('It failed.', 'See its log.', code='E40000', log='/tmp/tool.log')", 4),
        ("MemoryError()", 3),
        ("KeyboardInterrupt()", 130),
        ("EOFError()", 70),
        ("KeyError('x')", 70),
    ],
)
def test_each_error_has_its_exit_code_and_two_sentences(raised: str, code: int, tmp_path: Path) -> None:
    done = _guarded(f"raise {raised}", "--json", tmp_path=tmp_path)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("edgewright: ")
    import json

    told = json.loads(done.stdout)["error"]
    assert told["exit_code"] == code
    assert told["message"] and told["remedy"]
    if "ToolError" in raised:
        assert (told["code"], told["log"]) == ("E40000", "/tmp/tool.log")
        assert "E40000" in done.stderr and "/tmp/tool.log" in done.stderr


def test_a_bug_keeps_its_traceback_in_a_file(tmp_path: Path) -> None:
    done = _guarded("raise KeyError('planted')", tmp_path=tmp_path)
    assert done.returncode == 70
    (log,) = (tmp_path / "home" / "logs").glob("bug-*.log")
    assert str(log) in done.stderr
    assert "KeyError: 'planted'" in log.read_text()
    assert "Traceback" not in done.stderr


def test_a_bug_is_told_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where the folder would be")
    done = _guarded("raise KeyError('planted')", tmp_path=tmp_path)
    assert done.returncode == 70
    assert "planted" in done.stderr


def test_what_libraries_print_never_reaches_the_json(tmp_path: Path) -> None:
    body = """
        print("python prints")
        os.write(1, b"c++ prints\\\\n")
        os.system("echo a child prints")
        return {"answer": 42}
    """
    done = _guarded(body, "--json", tmp_path=tmp_path)
    assert done.stdout == '{"answer": 42}\n'
    for who in ("python", "c++", "a child"):
        assert f"{who} prints" in done.stderr


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -c 'from edgewright.cli import main; main()' schema | true"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 0
    assert done.stderr == ""


def test_every_error_class_has_a_documented_exit_code() -> None:
    codes = {getattr(errors, name).exit_code for name in errors.__all__ if name != "EdgewrightError"}
    assert codes == {1, 2, 3, 4}
