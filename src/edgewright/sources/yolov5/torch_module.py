"""A trainable torch module of any YOLOv5 architecture (v5–v7), written from its description.

    module = build_module(yaml)                     # nc, depth_multiple, width_multiple, anchors, backbone, head
    module.load_state_dict(state)                   # names are the official ones: model.0.conv.weight, …
    module.train(); heads = module(images)          # one (batch, anchors, ny, nx, 5 + classes) tensor a level
    module.eval(); boxes = module(images)           # (batch, N, 5 + classes): cx, cy, w, h in pixels, scores in 0–1

The classes are made on first use, so importing this file does not import torch.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

from edgewright.sources.yolov5.architecture import Activation, Architecture, Layer, read_architecture

BATCH_NORM_EPS = 1e-3
BATCH_NORM_MOMENTUM = 0.03


def build_module(yaml: Mapping[str, Any], *, channels: int = 3) -> Any:
    """A `torch.nn.Module` of the yaml, freshly initialised. `module.architecture` is the plan it was built from."""
    return build_from(read_architecture(yaml, channels=channels))


def build_from(architecture: Architecture) -> Any:
    """A `torch.nn.Module` of the plan, freshly initialised, in training mode."""
    return _network_class()(architecture)


def activation_module(activation: Activation) -> Any:
    from torch import nn

    if activation.kind == "leaky_relu":
        return nn.LeakyReLU(activation.slope, inplace=True)
    if activation.kind == "identity":
        return nn.Identity()
    return {"silu": nn.SiLU, "hardswish": nn.Hardswish, "relu": nn.ReLU}[activation.kind](inplace=True)


def batch_norm(channels: int) -> Any:
    from torch import nn

    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM)


@functools.cache
def _conv_class() -> Any:
    from torch import nn

    class Conv(nn.Module):  # type: ignore[misc]
        """Convolution without bias, batch norm, activation."""

        def __init__(
            self,
            entering: int,
            leaving: int,
            activation: Activation,
            kernel: int = 1,
            stride: int = 1,
            padding: int | None = None,
            groups: int = 1,
        ) -> None:
            super().__init__()
            pad = kernel // 2 if padding is None else padding
            self.conv = nn.Conv2d(entering, leaving, kernel, stride, pad, groups=groups, bias=False)
            self.bn = batch_norm(leaving)
            self.act = activation_module(activation)

        def forward(self, x: Any) -> Any:
            return self.act(self.bn(self.conv(x)))

    return Conv


@functools.cache
def _focus_class() -> Any:
    import torch
    from torch import nn

    class Focus(nn.Module):  # type: ignore[misc]
        """The four pixels of each 2×2 square stacked as channels, then a Conv (the stem before v6.0)."""

        def __init__(self, layer: Layer, activation: Activation) -> None:
            super().__init__()
            self.conv = _conv_class()(
                4 * layer.in_channels[0], layer.out_channels, activation,
                layer.kernel, layer.stride, layer.padding, layer.groups,
            )  # fmt: skip

        def forward(self, x: Any) -> Any:
            quarters = (x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2])
            return self.conv(torch.cat(quarters, 1))

    return Focus


@functools.cache
def _bottleneck_class() -> Any:
    from torch import nn

    class Bottleneck(nn.Module):  # type: ignore[misc]
        """1×1 Conv, 3×3 Conv, and the input added where the shapes allow it."""

        def __init__(
            self, entering: int, leaving: int, activation: Activation, shortcut: bool, groups: int, expansion: float
        ) -> None:
            super().__init__()
            hidden = int(leaving * expansion)
            self.cv1 = _conv_class()(entering, hidden, activation)
            self.cv2 = _conv_class()(hidden, leaving, activation, 3, groups=groups)
            self.add = shortcut and entering == leaving

        def forward(self, x: Any) -> Any:
            y = self.cv2(self.cv1(x))
            return x + y if self.add else y

    return Bottleneck


def _bottlenecks(layer: Layer, hidden: int, activation: Activation) -> Any:
    from torch import nn

    make = _bottleneck_class()
    return nn.Sequential(
        *(make(hidden, hidden, activation, layer.shortcut, layer.groups, 1.0) for _ in range(layer.repeats))
    )


@functools.cache
def _c3_class() -> Any:
    import torch
    from torch import nn

    class C3(nn.Module):  # type: ignore[misc]
        """Cross-stage partial block with three convolutions (v5.0 and later)."""

        def __init__(self, layer: Layer, activation: Activation) -> None:
            super().__init__()
            conv = _conv_class()
            entering, hidden = layer.in_channels[0], int(layer.out_channels * layer.expansion)
            self.cv1 = conv(entering, hidden, activation)
            self.cv2 = conv(entering, hidden, activation)
            self.cv3 = conv(2 * hidden, layer.out_channels, activation)
            self.m = _bottlenecks(layer, hidden, activation)

        def forward(self, x: Any) -> Any:
            return self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), 1))

    return C3


@functools.cache
def _bottleneck_csp_class() -> Any:
    import torch
    from torch import nn

    class BottleneckCSP(nn.Module):  # type: ignore[misc]
        """Cross-stage partial block with two plain 1×1 convolutions and a shared batch norm (before v5.0)."""

        def __init__(self, layer: Layer, activation: Activation, inner: Activation) -> None:
            super().__init__()
            entering, hidden = layer.in_channels[0], int(layer.out_channels * layer.expansion)
            self.cv1 = _conv_class()(entering, hidden, activation)
            self.cv2 = nn.Conv2d(entering, hidden, 1, bias=False)
            self.cv3 = nn.Conv2d(hidden, hidden, 1, bias=False)
            self.cv4 = _conv_class()(2 * hidden, layer.out_channels, activation)
            self.bn = batch_norm(2 * hidden)
            self.act = activation_module(inner)
            self.m = _bottlenecks(layer, hidden, activation)

        def forward(self, x: Any) -> Any:
            both = torch.cat((self.cv3(self.m(self.cv1(x))), self.cv2(x)), 1)
            return self.cv4(self.act(self.bn(both)))

    return BottleneckCSP


@functools.cache
def _spp_class() -> Any:
    import torch
    from torch import nn

    class SPP(nn.Module):  # type: ignore[misc]
        """Spatial pyramid pooling: the input and its max-pools of several sizes side by side."""

        def __init__(self, layer: Layer, activation: Activation) -> None:
            super().__init__()
            hidden = layer.in_channels[0] // 2
            self.cv1 = _conv_class()(layer.in_channels[0], hidden, activation)
            self.cv2 = _conv_class()(hidden * (len(layer.kernels) + 1), layer.out_channels, activation)
            self.m = nn.ModuleList(nn.MaxPool2d(k, stride=1, padding=k // 2) for k in layer.kernels)

        def forward(self, x: Any) -> Any:
            x = self.cv1(x)
            return self.cv2(torch.cat([x, *(pool(x) for pool in self.m)], 1))

    return SPP


@functools.cache
def _sppf_class() -> Any:
    import torch
    from torch import nn

    class SPPF(nn.Module):  # type: ignore[misc]
        """SPP by one small pool applied three times over (v6.0 and later)."""

        def __init__(self, layer: Layer, activation: Activation) -> None:
            super().__init__()
            hidden, kernel = layer.in_channels[0] // 2, layer.kernels[0]
            self.cv1 = _conv_class()(layer.in_channels[0], hidden, activation)
            self.cv2 = _conv_class()(hidden * 4, layer.out_channels, activation)
            self.m = nn.MaxPool2d(kernel, stride=1, padding=kernel // 2)

        def forward(self, x: Any) -> Any:
            x = self.cv1(x)
            once = self.m(x)
            twice = self.m(once)
            return self.cv2(torch.cat((x, once, twice, self.m(twice)), 1))

    return SPPF


@functools.cache
def _concat_class() -> Any:
    import torch
    from torch import nn

    class Concat(nn.Module):  # type: ignore[misc]
        """Feature maps side by side, over channels."""

        def forward(self, maps: list[Any]) -> Any:
            return torch.cat(maps, 1)

    return Concat


@functools.cache
def _detect_class() -> Any:
    import torch
    from torch import nn

    class Detect(nn.Module):  # type: ignore[misc]
        """One 1×1 convolution a level; in eval mode its answers decoded as YOLOv5 v5–v7 does:
        centre = (2σ − 0.5 + cell) · stride, size = (2σ)² · anchor, scores = σ."""

        anchors: Any
        stride: Any

        def __init__(self, architecture: Architecture) -> None:
            super().__init__()
            self.no = architecture.outputs_per_anchor
            self.na = len(architecture.anchors[0])
            strides = torch.tensor(architecture.strides, dtype=torch.float32)
            pixels = torch.tensor(architecture.anchors, dtype=torch.float32)
            self.register_buffer("anchors", pixels / strides.view(-1, 1, 1))  # in cells, as in the checkpoints
            self.register_buffer("stride", strides, persistent=False)
            self.m = nn.ModuleList(nn.Conv2d(c, self.no * self.na, 1) for c in architecture.detect.in_channels)
            self._start_biases(architecture)

        def _start_biases(self, architecture: Architecture) -> None:
            """Start from few objects (8 in a 640×640 image), so that the first training steps do not explode."""
            for head, stride in zip(self.m, architecture.strides, strict=True):
                bias = head.bias.detach().view(self.na, -1)
                bias[:, 4] += math.log(8 / (640 / stride) ** 2)
                bias[:, 5:] += math.log(0.6 / (architecture.classes - 0.99999))

        def forward(self, maps: list[Any]) -> Any:
            heads = [self._by_anchor(head(x)) for head, x in zip(self.m, maps, strict=True)]
            if self.training:
                return heads
            return torch.cat([self._decode(heads[level], level) for level in range(len(heads))], 1)

        def _by_anchor(self, x: Any) -> Any:
            batch, _, ny, nx = x.shape
            return x.view(batch, self.na, self.no, ny, nx).permute(0, 1, 3, 4, 2).contiguous()

        def _decode(self, head: Any, level: int) -> Any:
            batch, _, ny, nx, _ = head.shape
            rows = torch.arange(ny, device=head.device, dtype=head.dtype).view(1, 1, ny, 1).expand(1, 1, ny, nx)
            columns = torch.arange(nx, device=head.device, dtype=head.dtype).view(1, 1, 1, nx).expand(1, 1, ny, nx)
            cells = torch.stack((columns, rows), -1)
            anchors = (self.anchors[level] * self.stride[level]).view(1, self.na, 1, 1, 2)
            scores = head.sigmoid()
            centre = (scores[..., 0:2] * 2 - 0.5 + cells) * self.stride[level]
            size = (scores[..., 2:4] * 2) ** 2 * anchors
            return torch.cat((centre, size, scores[..., 4:]), -1).reshape(batch, self.na * ny * nx, self.no)

    return Detect


@functools.cache
def _network_class() -> Any:
    from torch import nn

    class YoloV5(nn.Module):  # type: ignore[misc]
        """The layers of a plan in order; `model.<i>` is layer i of the yaml."""

        def __init__(self, architecture: Architecture) -> None:
            super().__init__()
            self.architecture = architecture
            self.model = nn.Sequential(*(_layer_module(layer, architecture) for layer in architecture.layers))
            used = {i for layer in architecture.layers for i in layer.inputs if i != layer.index - 1}
            self._kept = frozenset(used)

        def forward(self, images: Any) -> Any:
            x: Any = images
            kept: dict[int, Any] = {}
            for layer, module in zip(self.architecture.layers, self.model, strict=True):
                entering = [x if i == layer.index - 1 else kept[i] for i in layer.inputs]
                x = module(entering if layer.kind in ("Concat", "Detect") else entering[0])
                if layer.index in self._kept:
                    kept[layer.index] = x
            return x

    return YoloV5


def _layer_module(layer: Layer, architecture: Architecture) -> Any:
    from torch import nn

    activation = architecture.activation
    if layer.kind == "Detect":
        return _detect_class()(architecture)
    if layer.kind == "Concat":
        return _concat_class()()
    if layer.kind == "Upsample":
        return nn.Upsample(scale_factor=float(layer.scale), mode="nearest")
    if layer.kind == "C3":
        return _c3_class()(layer, activation)
    if layer.kind == "BottleneckCSP":
        return _bottleneck_csp_class()(layer, activation, architecture.csp_activation)
    copies = [_single(layer, activation) for _ in range(layer.repeats)]
    return copies[0] if layer.repeats == 1 else nn.Sequential(*copies)


def _single(layer: Layer, activation: Activation) -> Any:
    entering, leaving = layer.in_channels[0], layer.out_channels
    if layer.kind == "Conv":
        return _conv_class()(entering, leaving, activation, layer.kernel, layer.stride, layer.padding, layer.groups)
    if layer.kind == "Bottleneck":
        return _bottleneck_class()(entering, leaving, activation, layer.shortcut, layer.groups, layer.expansion)
    return {"Focus": _focus_class, "SPP": _spp_class, "SPPF": _sppf_class}[layer.kind]()(layer, activation)
