"""Trains the digit classifier (two minutes on one core) and writes it as ONNX, so that running it needs no torch.

    python examples/digits_classifier/train.py

The network takes gray 32×32 images in 0–1 and answers with ten scores before softmax; the batch is left open.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from data import SIZE, SPLITS, WAYS, draw, handwriting
from torch import nn

HERE = Path(__file__).parent
WIDTHS = (24, 48, 96, 96)
OPSET = 17


def network() -> nn.Module:
    """Four convolutions, two of them with stride 2, a mean over what is left, and one linear layer."""
    layers: list[nn.Module] = []
    for entering, leaving, stride in zip((1, *WIDTHS), WIDTHS, (1, 2, 2, 1), strict=False):
        layers += [nn.Conv2d(entering, leaving, 3, stride, 1, bias=False), nn.BatchNorm2d(leaving), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], 10))


def images(split: str, ways: range) -> tuple[torch.Tensor, torch.Tensor]:
    """Every digit of a split in each of these ways: float32 [n, 1, 32, 32] in 0–1, labels int64 [n]."""
    drawn = np.stack([draw(index, way) for way in ways for index in SPLITS[split]])
    labels = np.tile(handwriting()[1][list(SPLITS[split])], len(ways))
    return torch.from_numpy(drawn)[:, None].float() / 255, torch.from_numpy(labels)


def train(epochs: int, rate: float = 3e-3, batch: int = 128) -> nn.Module:
    """Each epoch sees every training digit drawn in a way it was never drawn before."""
    model = network()
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.02)
    for epoch in range(epochs):
        x, y = images("train", range(WAYS + 2 * epoch, WAYS + 2 * epoch + 2))
        for group in optimiser.param_groups:
            group["lr"] = rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * epoch / epochs)))
        for chosen in torch.randperm(len(x)).split(batch):
            loss = nn.functional.cross_entropy(model(x[chosen]), y[chosen], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model.eval()


def top(model: nn.Module, k: int) -> float:
    """The part of the validation images whose label is among the first k answers."""
    x, y = images("val", range(WAYS))
    with torch.no_grad():
        answers = model(x).topk(k, 1).indices
    return float((answers == y[:, None]).any(1).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the digit classifier.")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--out", type=Path, default=HERE / "digits-classifier.onnx")
    given = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = train(given.epochs)
    print(f"top-1 {top(model, 1):.4f}, top-5 {top(model, 5):.4f}")
    torch.onnx.export(
        model,
        (torch.zeros(1, 1, SIZE, SIZE),),
        str(given.out),
        input_names=["image"],
        output_names=["scores"],
        dynamic_axes={"image": {0: "batch"}, "scores": {0: "batch"}},
        opset_version=OPSET,
        dynamo=False,
    )


if __name__ == "__main__":
    main()
