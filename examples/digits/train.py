"""Trains the digit detector: the smallest YOLOv5 on scenes that are drawn as they are needed, on an ordinary CPU.

    python examples/digits/train.py --minutes 35 --out digits.pt
    python examples/digits/train.py --minutes 15 --start digits.pt --rate 5e-4 --out better.pt   # and a little more

No scene is seen twice, so there is nothing to overfit but the 1,347 handwritten digits themselves. What is written is
a moving average of the weights, as fp16, in a plain dictionary that needs no code of ours to be read:
{model: state dict, yaml: the architecture, names: class names, stride, training: how it was made}.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from loss import detection_loss
from scenes import NAMES, draw_scene

from edgewright.sources.yolov5.torch_module import build_module

NETWORK: dict[str, Any] = {
    "nc": len(NAMES),
    "depth_multiple": 0.33,
    "width_multiple": 0.25,
    "anchors": [  # widths and heights in pixels: what digits of 22–104 pixels come to
        [17, 26, 22, 35, 28, 44],
        [32, 54, 42, 60, 45, 76],
        [58, 80, 60, 100, 80, 110],
    ],
    "backbone": [
        [-1, 1, "Conv", [64, 6, 2, 2]],
        [-1, 1, "Conv", [128, 3, 2]],
        [-1, 3, "C3", [128]],
        [-1, 1, "Conv", [256, 3, 2]],
        [-1, 6, "C3", [256]],
        [-1, 1, "Conv", [512, 3, 2]],
        [-1, 9, "C3", [512]],
        [-1, 1, "Conv", [1024, 3, 2]],
        [-1, 3, "C3", [1024]],
        [-1, 1, "SPPF", [1024, 5]],
    ],
    "head": [
        [-1, 1, "Conv", [512, 1, 1]],
        [-1, 1, "nn.Upsample", ["None", 2, "nearest"]],
        [[-1, 6], 1, "Concat", [1]],
        [-1, 3, "C3", [512, False]],
        [-1, 1, "Conv", [256, 1, 1]],
        [-1, 1, "nn.Upsample", ["None", 2, "nearest"]],
        [[-1, 4], 1, "Concat", [1]],
        [-1, 3, "C3", [256, False]],
        [-1, 1, "Conv", [256, 3, 2]],
        [[-1, 14], 1, "Concat", [1]],
        [-1, 3, "C3", [512, False]],
        [-1, 1, "Conv", [512, 3, 2]],
        [[-1, 10], 1, "Concat", [1]],
        [-1, 3, "C3", [1024, False]],
        [[17, 20, 23], 1, "Detect", ["nc", "anchors"]],
    ],
}
WARP = 1.25
"""Training scenes are turned and slanted a quarter more than those the detector is judged on."""
FIRST_SEED = 10_000_000
"""Far from the seeds of written scenes, so that no calibration scene is a training scene."""
AVERAGED_STEPS = 300
WARM_UP_STEPS = 200


class Average:
    """A moving average of a network's weights, which detects better than the weights of any one step."""

    def __init__(self, network: torch.nn.Module, *, warm: bool) -> None:
        self.network = copy.deepcopy(network).eval()
        self._steps = 10 * WARM_UP_STEPS if warm else 0

    @torch.no_grad()
    def update(self, network: torch.nn.Module) -> None:
        self._steps += 1
        kept = (1 - 1 / AVERAGED_STEPS) * (1 - math.exp(-self._steps / WARM_UP_STEPS))
        pairs = zip(self.network.state_dict().values(), network.state_dict().values(), strict=True)
        for mine, theirs in pairs:
            if mine.dtype.is_floating_point:
                mine.mul_(kept).add_(theirs, alpha=1 - kept)
            else:
                mine.copy_(theirs)


def training_scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A scene as the network takes it: uint8 [256, 256, 3] and float32 [n, 5]: class, centre and extent in pixels."""
    scene = draw_scene(seed, "train", warp=WARP)
    centres = (scene.boxes[:, :2] + scene.boxes[:, 2:]) / 2
    extents = scene.boxes[:, 2:] - scene.boxes[:, :2]
    return scene.image, np.concatenate([scene.labels[:, None], centres, extents], 1, dtype=np.float32)


def batches(size: int, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless batches, drawn ahead by another process: images float32 [size, 3, 256, 256] in 0–1, truth [n, 6]."""
    with ProcessPoolExecutor(1, get_context("spawn"), os.nice, (2,)) as pool:
        ahead: list[Future[Any]] = [pool.submit(training_scene, seed + k) for k in range(6 * size)]
        while True:
            drawn = [job.result() for job in ahead[:size]]
            seed += size
            ahead = ahead[size:] + [pool.submit(training_scene, seed + 5 * size + k) for k in range(size)]
            images = torch.from_numpy(np.stack([image for image, _ in drawn])).permute(0, 3, 1, 2).float() / 255
            rows = [np.insert(boxes, 0, number, axis=1) for number, (_, boxes) in enumerate(drawn)]
            yield images.contiguous(memory_format=torch.channels_last), torch.from_numpy(np.concatenate(rows))


def rate_at(done: float, step: int, highest: float) -> float:
    """Learning rate with `done` of the time gone: a short rise, then a cosine down to a hundredth."""
    return highest * min(1.0, (step + 1) / WARM_UP_STEPS) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def train(given: argparse.Namespace) -> None:
    torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    network = build_module(NETWORK).to(memory_format=torch.channels_last).train()
    if given.start:
        network.load_state_dict({k: v.float() for k, v in read_state(given.start).items()})
    average = Average(network, warm=bool(given.start))
    matrices = [p for p in network.parameters() if p.ndim > 1]
    vectors = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 0.02}, {"params": vectors, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=given.rate, betas=(0.9, 0.99))
    plan = network.architecture
    anchors = torch.tensor(plan.anchors, dtype=torch.float32)

    begin, loss_seen = time.monotonic(), math.nan
    for step, (images, truth) in enumerate(batches(given.batch, FIRST_SEED * (1 + given.seed))):
        done = (time.monotonic() - begin) / (60 * given.minutes)
        if done >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = rate_at(done, step, given.rate)
        with torch.autocast("cpu", torch.bfloat16, enabled=not given.fp32):
            heads = network(images)
        loss = detection_loss([head.float() for head in heads], truth, anchors, plan.strides)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        average.update(network)
        loss_seen = loss.item() if math.isnan(loss_seen) else 0.97 * loss_seen + 0.03 * loss.item()
        if step % 25 == 0:
            scenes_seen = (step + 1) * given.batch
            print(f"{done:4.0%}  {scenes_seen:6d} scenes  loss {loss_seen:.4f}", flush=True)
        if step and step % 300 == 0:
            save(average.network, given, step * given.batch)
    save(average.network, given, step * given.batch)


def read_state(path: Path) -> Mapping[str, torch.Tensor]:
    return torch.load(path, map_location="cpu", weights_only=True)["model"]


def save(network: torch.nn.Module, given: argparse.Namespace, scenes_seen: int) -> None:
    """The checkpoint, whole or not at all."""
    state = {name: t.half() if t.dtype.is_floating_point else t for name, t in network.state_dict().items()}
    training = {"scenes": scenes_seen, "minutes": given.minutes, "rate": given.rate, "seed": given.seed}
    checkpoint = {
        "model": {name: tensor.contiguous() for name, tensor in state.items()},
        "yaml": NETWORK,
        "names": list(NAMES),
        "stride": list(network.architecture.strides),
        "training": {**training, "continued": bool(given.start)},
    }
    unfinished = given.out.with_suffix(".part")
    torch.save(checkpoint, unfinished)
    unfinished.replace(given.out)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the digit detector.")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint to write")
    parser.add_argument("--start", type=Path, help="checkpoint to go on from")
    parser.add_argument("--minutes", type=float, default=35, help="how long to train")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--batch", type=int, default=16, help="scenes a step")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--seed", type=int, default=0, help="of the first weights and of the scenes")
    parser.add_argument("--fp32", action="store_true", help="without bfloat16, for CPUs that lack it")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
