"""Files that a verb leaves where the user said: whole or not at all, and never over another unasked."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from edgewright.core.errors import InputError


def refuse_to_replace(path: Path, force: bool) -> None:
    if path.is_dir():
        raise InputError(f"{path} is a folder.", "Name a file in it.")
    if path.exists() and not force:
        raise InputError(f"{path} is already there.", "Choose another name with -o, or say --force.")


def whole(path: Path, text: str) -> None:
    """Writes under a temporary name and renames. InputError where the folder cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.", "Choose another place with -o.") from None
