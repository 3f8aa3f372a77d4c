"""The simplified configuration (prototxt) of a calibration, with the documented defaults."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..prototxt import Block, ProtoTextError, parse


class AmctError(Exception):
    """The calibration cannot go on; the message is for the user."""


@dataclass(frozen=True)
class LayerSettings:
    """Per layer: ARQ for weights, IFMR for activations."""

    channel_wise: bool = True
    start: float = 0.7
    end: float = 1.3
    step: float = 0.01
    max_percentile: float = 0.999999
    min_percentile: float = 0.999999
    asymmetric: bool | None = None  # None: as activation_offset says


@dataclass(frozen=True)
class Config:
    batch_num: int = 1
    activation_offset: bool = True
    do_fusion: bool = True
    skip_layers: frozenset[str] = frozenset()
    skip_types: frozenset[str] = frozenset()
    skip_fusion: frozenset[str] = frozenset()
    common: LayerSettings = field(default_factory=LayerSettings)
    by_layer: dict[str, LayerSettings] = field(default_factory=dict)
    by_type: dict[str, LayerSettings] = field(default_factory=dict)

    def of(self, name: str, kind: str) -> LayerSettings:
        return self.by_layer.get(name) or self.by_type.get(kind) or self.common


ACCEPTED = {"joint_quant", "fakequant_precision_mode", "version", "tensor_quantize"}


def read_config(path: str, batch_num: int) -> Config:
    """AmctError for a file that does not parse or has fields nobody documents."""
    if not path:
        return Config(batch_num=batch_num)
    try:
        block = parse(Path(path).read_text())
    except OSError as problem:
        raise AmctError(f"calibration_config {path} cannot be read: {problem.strerror}") from None
    except (ProtoTextError, UnicodeDecodeError) as problem:
        raise AmctError(f"calibration_config {path} does not parse: {problem}") from None
    known = {"batch_num", "activation_offset", "do_fusion", "skip_layers", "skip_layer_types", "skip_fusion_layers"}
    known |= {"common_config", "override_layer_configs", "override_layer_types"} | ACCEPTED
    if unknown := set(block) - known:
        raise AmctError(f"calibration_config has unknown fields: {', '.join(sorted(unknown))}")
    common = _layer(_one(block, "common_config", {}), LayerSettings())
    by_layer = {
        str(_one(entry, "layer_name", "")): _layer(_one(entry, "calibration_config", {}), common)
        for entry in block.get("override_layer_configs", ())
    }
    by_type = {
        str(_one(entry, "layer_type", "")): _layer(_one(entry, "calibration_config", {}), common)
        for entry in block.get("override_layer_types", ())
    }
    return Config(
        batch_num=int(_one(block, "batch_num", 1)),
        activation_offset=bool(_one(block, "activation_offset", True)),
        do_fusion=bool(_one(block, "do_fusion", True)),
        skip_layers=frozenset(map(str, block.get("skip_layers", ()))),
        skip_types=frozenset(map(str, block.get("skip_layer_types", ()))),
        skip_fusion=frozenset(map(str, block.get("skip_fusion_layers", ()))),
        common=common,
        by_layer=by_layer,
        by_type=by_type,
    )


def _one(block: Any, name: str, otherwise: Any) -> Any:
    values = block.get(name) if isinstance(block, dict) else None
    return values[-1] if values else otherwise


def _layer(block: Block, start: LayerSettings) -> LayerSettings:
    arq = _one(block, "arq_quantize", {})
    ifmr = _one(block, "ifmr_quantize", {})
    made = replace(start, channel_wise=bool(_one(arq, "channel_wise", start.channel_wise)))
    names = {"search_range_start": "start", "search_range_end": "end", "search_step": "step"}
    names |= {"max_percentile": "max_percentile", "min_percentile": "min_percentile"}
    for published, ours in names.items():
        made = replace(made, **{ours: float(_one(ifmr, published, getattr(made, ours)))})
    if "asymmetric" in ifmr:
        made = replace(made, asymmetric=bool(_one(ifmr, "asymmetric", True)))
    if not 0 < made.start < made.end or made.step <= 0 or (made.end - made.start) / made.step > 10000:
        raise AmctError("ifmr_quantize: search_range_start < search_range_end and a positive search_step are needed")
    return made
