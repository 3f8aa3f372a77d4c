"""docs/reliability.md is the one generated from these tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_page_of_the_faults_is_the_one_generated(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "tools/write_reliability_docs.py"], cwd=root, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert (root / "docs/reliability.md").read_text(encoding="utf-8") == done.stdout, "run `make docs`"
