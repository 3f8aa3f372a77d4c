"""Gears: the several shapes that one .om is compiled for. Source: the CANN guide, --dynamic_batch_size,
--dynamic_image_size and --dynamic_dims: 2 to 100 gears, one kind per model, not with an AMCT INT8 model.

A fixed shape is faster to compile, smaller and can be INT8: gears are built where the configuration asks for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from edgewright.core.errors import ConfigError, InputError
from edgewright.core.plugs import did_you_mean
from edgewright.core.recipe import Port
from edgewright.graph import surgery

KINDS = {"batch": "dynamic_batch_size", "image": "dynamic_image_size", "dims": "dynamic_dims"}
FEWEST, MOST = 2, 100


def checked(given: Any) -> dict[str, list[list[int]]]:
    """`{batch: [1, 2, 4]}`, `{image: [[416, 416], [640, 640]]}` or `{dims: [[1, 128], [4, 128]]}` with every gear a
    list. ConfigError for anything else."""
    if not isinstance(given, Mapping) or len(given) != 1:
        raise ConfigError(f"gears is {given!r}.", "Give one kind: `gears: {batch: [1, 2, 4]}`, image or dims.")
    ((kind, values),) = given.items()
    if kind not in KINDS:
        raise ConfigError(f"There are no gears of '{kind}'.", did_you_mean(str(kind), tuple(KINDS)))
    gears = [value if isinstance(value, list) else [value] for value in values] if isinstance(values, list) else []
    whole = all(type(n) is int and n > 0 for gear in gears for n in gear)
    length = {"batch": 1, "image": 2}.get(kind)
    if not whole or (length and any(len(gear) != length for gear in gears)) or len({len(g) for g in gears}) > 1:
        raise ConfigError(f"gears.{kind} is {values!r}.", "Give a list of whole numbers, or of lists of equal length.")
    if not FEWEST <= len(gears) <= MOST:
        raise ConfigError(f"gears.{kind} has {len(gears)} gears.", f"atc takes {FEWEST} to {MOST}.")
    return {str(kind): gears}


def kind_of(gears: Mapping[str, Any]) -> str:
    return next(iter(gears), "")


def open_graph(graph: Any, gears: Mapping[str, Any]) -> None:
    """Frees the dimensions that the gears settle, in place. InputError where the graph is made for one batch."""
    leading = {surgery.shape_of(value)[0] for value in surgery.inputs(graph) if surgery.shape_of(value)}
    if kind_of(gears) == "batch" and leading != {None}:
        raise InputError(
            f"The graph is made for a batch of {max(n for n in leading if n)}, and gears.batch wants several.",
            "Leave gears out, or export the model with a dynamic batch.",
        )
    places = {"batch": (0,), "image": (2, 3)}.get(kind_of(gears), ())
    if not places:
        return
    for value in [*surgery.inputs(graph), *graph.graph.output]:
        dims = value.type.tensor_type.shape.dim
        for place in places:
            if place < len(dims):
                dims[place].Clear()
                dims[place].dim_param = f"gear_{place}"
    del graph.graph.value_info[:]


def ports(found: Sequence[Port], gears: Mapping[str, Any]) -> tuple[Port, ...]:
    """The ports as programs see them: None where a gear is chosen by what is fed."""
    places = {"batch": (0,), "image": (2, 3)}.get(kind_of(gears), ())
    return tuple(
        replace(port, shape=tuple(None if i in places else n for i, n in enumerate(port.shape))) for port in found
    )


def options(gears: Mapping[str, Any], inputs: Sequence[Port]) -> dict[str, str]:
    """The converter's option. ConfigError where the gears and the free dimensions do not match."""
    ((kind, values),) = gears.items()
    free = sum(n is None for port in inputs for n in port.shape)
    if kind == "dims" and any(len(gear) != free for gear in values):
        raise ConfigError(
            f"A gear of dims has {len(values[0])} numbers, and the model's inputs have {free} free dimensions.",
            "Give one number for every free dimension, in the order of the inputs.",
        )
    between = "," if kind == "batch" else ";"
    return {KINDS[kind]: between.join(",".join(map(str, gear)) for gear in values)}
