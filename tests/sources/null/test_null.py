from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright import sources
from edgewright.core.errors import InputError
from edgewright.core.model import ModelSpec
from edgewright.sources.parity import run_graph


def write(folder: Path, **fields: Any) -> Any:
    member = sources.get("null")
    return member.to_onnx(member.load(ModelSpec("null", **fields)), 17, folder)["main"]


def test_it_is_the_same_network_every_time(tmp_path: Path) -> None:
    assert write(tmp_path / "a").digest == write(tmp_path / "b").digest


def test_it_tells_pictures_apart(tmp_path: Path) -> None:
    model = write(tmp_path)
    images = np.random.default_rng(0).random((3, 3, 32, 32), np.float32)
    (logits,) = run_graph(model.path, {"images": images})
    assert logits.shape == (3, 4)
    assert len(np.unique(logits.round(4), axis=0)) == 3


@pytest.mark.parametrize(
    "fields", [{"inputs": {"images": (1, 3, 64, 64)}}, {"inputs": {"x": (1,)}}, {"labels": ("a",)}]
)
def test_it_can_be_nothing_else(tmp_path: Path, fields: Any) -> None:
    with pytest.raises(InputError):
        write(tmp_path, **fields)
