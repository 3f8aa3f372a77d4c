"""Small torch models for the tests of the torch source; loaded by path, as a user's own file is."""

from __future__ import annotations

import torch
from torch import nn


class Picture(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.body = nn.Sequential(nn.SiLU(), nn.Conv2d(4, 4, 1))
        self.last = nn.Linear(4, 10)

    def features(self, image):
        return self.body(self.norm(self.stem(image)))

    def forward(self, image):
        return self.last(self.features(image).mean((2, 3)))


class Liar(Picture):
    """Computes something else while it is exported."""

    def forward(self, image):
        x = self.features(image)
        if torch.jit.is_tracing():
            x = x + 1
        return self.last(x.mean((2, 3)))


class OneOnly(Picture):
    """Only right for a batch of one."""

    def forward(self, image):
        return self.last(self.features(image).mean((2, 3)).reshape(1, 4))


class Text(nn.Module):
    labels = ("x", "y", "z")

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(200, 3)
        self.dynamic_axes = {name: {0: "batch", 1: "sequence"} for name in ("input_ids", "attention_mask")}
        self.example_inputs = {
            "input_ids": torch.arange(12).view(1, 12),
            "attention_mask": torch.ones(1, 12, dtype=torch.int64),
        }

    def forward(self, input_ids, attention_mask, unused=None):
        hidden = self.table(input_ids)
        mask = attention_mask[..., None].float()
        return {"hidden": hidden, "pooled": (hidden * mask).sum(1) / mask.sum(1)}


def picture() -> nn.Module:
    torch.manual_seed(0)
    return Picture()


def other() -> nn.Module:
    torch.manual_seed(1)
    return Picture()


def liar() -> nn.Module:
    return Liar()


def one_only() -> nn.Module:
    return OneOnly()


def text() -> nn.Module:
    return Text()


def broken() -> nn.Module:
    raise RuntimeError("no such weights")


def number() -> int:
    return 3
