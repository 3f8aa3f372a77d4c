"""The chips atc knows by name, and what differs between them here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chip:
    soc: str
    cores: int
    mhz: int
    widest_aipp: int  # widest AIPP output, pixels
    shape_range: bool  # whether --input_shape ranges are allowed
    bf16: bool


def _chips() -> dict[str, Chip]:
    rows = [
        # soc, cores, MHz, AIPP width, shape range, bf16
        ("Ascend310", 2, 680, 4096, True, False),
        ("Ascend310B1", 1, 1224, 4096, False, False),
        ("Ascend310B2", 1, 1224, 4096, False, False),
        ("Ascend310B3", 1, 1224, 4096, False, False),
        ("Ascend310B4", 1, 500, 4096, False, False),
        ("Ascend310P1", 10, 1080, 1080, True, False),
        ("Ascend310P3", 8, 1080, 1080, True, False),
        ("Ascend310P5", 8, 1080, 1080, True, False),
        ("Ascend310P7", 8, 1080, 1080, True, False),
        ("Ascend910A", 32, 1000, 1080, True, False),
        ("Ascend910B", 32, 1000, 1080, True, False),
        ("Ascend910ProA", 32, 1000, 1080, True, False),
        ("Ascend910ProB", 30, 1000, 1080, True, False),
        ("Ascend910PremiumA", 32, 1000, 1080, True, False),
        ("Ascend910B1", 24, 1850, 4096, True, True),
        ("Ascend910B2", 24, 1800, 4096, True, True),
        ("Ascend910B2C", 24, 1800, 4096, True, True),
        ("Ascend910B3", 20, 1800, 4096, True, True),
        ("Ascend910B4", 20, 1500, 4096, True, True),
        ("Ascend910B4-1", 20, 1500, 4096, True, True),
        ("Ascend910_9362", 20, 1800, 4096, True, True),
        ("Ascend910_9372", 20, 1800, 4096, True, True),
        ("Ascend910_9381", 24, 1800, 4096, True, True),
        ("Ascend910_9382", 24, 1800, 4096, True, True),
        ("Ascend910_9391", 24, 1800, 4096, True, True),
        ("Ascend910_9392", 24, 1800, 4096, True, True),
    ]
    return {row[0]: Chip(*row) for row in rows}


CHIPS = _chips()
