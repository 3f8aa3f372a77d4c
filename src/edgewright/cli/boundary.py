"""The edge between the library and a shell: errors become two sentences and an exit code, here and nowhere else.

0 kept · 1 a promise is not kept · 2 configuration or input · 3 device · 4 vendor tool · 70 a bug of ours · 130 Ctrl-C.
With --json stdout holds exactly one JSON object, whatever a library prints: its file descriptor is lent to
stderr while the verb works.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edgewright.core.errors import DeviceError, EdgewrightError

BUG, INTERRUPTED = 70, 130


class Carried(Exception):
    """Holds an error on its way through the command-line library."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


class _LogFile(logging.Handler):
    """Appends to `logs/edgewright.log` of the results' folder, which is made only when there is something to say."""

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {record.levelname} {self.format(record)}\n"
        with contextlib.suppress(OSError):
            folder = _home() / "logs"
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "edgewright.log").open("a", encoding="utf-8") as out:
                out.write(text)


def _home() -> Path:
    return Path(os.environ.get("EDGEWRIGHT_HOME") or ".edgewright").absolute()


def guarded(arguments: Sequence[str]) -> int:
    """Runs the command line and gives its exit code. Never raises."""
    as_json = "--json" in arguments
    _quiet_libraries()
    try:
        with _stdout_kept_for_json(as_json):
            return _run(arguments, as_json)
    except BrokenPipeError:
        # Whoever read our output has gone (`edgewright … | head`): nothing is wrong, and nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _quiet_libraries() -> None:
    """What libraries warn of, and what we log of a failed candidate, is for a log file and not for the terminal."""
    import warnings

    if os.environ.get("EDGEWRIGHT_DEBUG"):
        return
    warnings.simplefilter("ignore")
    logging.raiseExceptions = False
    log = logging.getLogger("edgewright")
    log.propagate = False
    log.addHandler(_LogFile())


def _run(arguments: Sequence[str], as_json: bool) -> int:
    import typer

    usage: Any = typer.BadParameter.__bases__[0]  # click's UsageError, or the one in newer typers: neither is exported
    try:
        from edgewright.cli.app import app

        try:
            result = app(args=list(arguments), prog_name="edgewright", standalone_mode=False)
        except Carried as carried:
            raise carried.error from None
        return result if isinstance(result, int) else 0
    except typer.Exit as done:
        return done.exit_code
    except usage as error:
        return _tell(_usage(error), as_json)
    except (KeyboardInterrupt, typer.Abort):
        told = EdgewrightError("Interrupted.", "The same command goes on from the results stored so far.")
        return _tell(told, as_json, INTERRUPTED)
    except EdgewrightError as error:
        return _tell(error, as_json)
    except BrokenPipeError:
        raise
    except MemoryError:
        told = DeviceError("This machine ran out of memory.", "Close other programs, or use a smaller batch or input.")
        return _tell(told, as_json)
    except Exception as error:
        if os.environ.get("EDGEWRIGHT_DEBUG"):
            raise
        return _tell(_bug(error), as_json, BUG)


def _tell(error: EdgewrightError, as_json: bool, code: int | None = None) -> int:
    code = error.exit_code if code is None else code
    sys.stderr.write(f"edgewright: {error.message}\n")
    if error.remedy:
        sys.stderr.write(f"{error.remedy}\n")
    extra = {key: value for key in ("code", "log") if (value := getattr(error, key, ""))}
    for key, value in extra.items():
        sys.stderr.write(f"{key}: {value}\n")
    if as_json:
        kind = "Interrupted" if code == INTERRUPTED else "Bug" if code == BUG else type(error).__name__
        told = {"kind": kind, "message": error.message, "remedy": error.remedy, "exit_code": code, **extra}
        write_json({"error": told})
    return code


class UsageError(EdgewrightError):
    """The words of the command line are wrong."""

    exit_code = 2


def _usage(error: Any) -> EdgewrightError:
    context = error.ctx
    verb = context.command_path if context is not None else "edgewright"
    message = error.format_message().strip()
    return UsageError(message if message.endswith(".") or "?" in message else f"{message}.", f"See `{verb} --help`.")


def _bug(error: Exception) -> EdgewrightError:
    """The traceback goes to a file: it is for us, the sentence is for the user."""
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(error))
    name = time.strftime("bug-%Y%m%dT%H%M%SZ.log", time.gmtime())
    for folder in (_home() / "logs", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            place = folder / name
            place.write_text(text, encoding="utf-8")
            break
        except OSError:
            continue
    else:
        sys.stderr.write(text)
        place = Path("stderr")
    first = " ".join(str(error).split())[:200]
    told = EdgewrightError(
        f"This is a bug of Edgewright, not of yours: {type(error).__name__}: {first}.",
        f"The traceback is in {place}; please report it with that file.",
    )
    told.log = str(place)  # type: ignore[attr-defined]
    return told


_json_stream: list[Any] = []


def write_json(data: Any) -> None:
    """The one JSON object of this command, to the real stdout."""
    stream = _json_stream[-1] if _json_stream else sys.stdout
    stream.write(json.dumps(data, ensure_ascii=False) + "\n")
    stream.flush()


@contextlib.contextmanager
def _stdout_kept_for_json(as_json: bool) -> Iterator[None]:
    """While it lasts, all that is printed (by C++ libraries and child processes too) goes to stderr."""
    try:
        out, err = sys.stdout.fileno(), sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        as_json = False
    if not as_json:
        yield
        return
    sys.stdout.flush()
    kept = os.dup(out)
    os.dup2(err, out)
    stream = os.fdopen(kept, "w", encoding="utf-8")
    _json_stream.append(stream)
    try:
        yield
    finally:
        _json_stream.pop()
        sys.stdout.flush()
        os.dup2(kept, out)
        stream.close()
