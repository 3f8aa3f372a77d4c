"""--input_shape, --input_format and the three kinds of gears: how they must go together (cann.md 1.3)."""

from __future__ import annotations

from collections.abc import Iterator

from edgewright.targets.cann import atc_options
from edgewright.targets.cann.atc_rules import DYNAMIC, Fault, Machine, Settings, chip_of, converts, fault, open_to_shell

FEWEST_GEARS = 2
FORMS = {"dynamic_batch_size": "1,2,4", "dynamic_image_size": "416,416;640,640", "dynamic_dims": "1,128;4,128"}
NAMES_SHAPES = 'Write --input_shape="name:1,3,640,640", with `;` between inputs and the names of the model.'


def shapes(settings: Settings, machine: Machine) -> Iterator[Fault]:
    """Everything about the shapes of the inputs."""
    if not converts(settings):
        return
    yield from _layout(settings)
    text = settings.get("input_shape", "")
    gear = next((name for name in DYNAMIC if name in settings), "")
    if "input_shape_range" in settings and chip_of(settings, machine).startswith("Ascend310B"):
        what = f"A shape range is not supported on {chip_of(settings, machine)}."
        why = "Atlas 200I/500 A2 run fixed shapes and gears only."
        yield fault("input_shape_range", "error", what, why, "Write fixed figures in --input_shape.")
    if open_to_shell(text) or open_to_shell(settings.get(gear, "")):
        return
    if not text:
        if not gear and settings.get("framework") == "5" and "input_shape_range" not in settings:
            yield fault("input_shape", "note", "--input_shape is not given.",
                        "That is right where the model's inputs have fixed shapes; free dimensions need it.",
                        NAMES_SHAPES)  # fmt: skip
        return
    if "~" in text:
        yield from _range(text, gear, settings, machine)
        return
    dims = read(text)
    if dims is None:
        why = 'atc wants "name:figures;name:figures" with whole numbers (E10002).'
        change = {} if gear else {"input_shape": None}
        yield fault("input_shape", "error", f"--input_shape is '{text[:80]}'.", why, NAMES_SHAPES, **change)
        return
    yield from _figures(dims, gear)
    if not gear:
        yield from _bare(dims, settings, machine)
    else:
        yield from _gears(gear, dims, settings, machine)


def read(text: str) -> dict[str, list[int]] | None:
    """Dimensions by input name, -1 where they change; None for a text that is not of that form."""
    found: dict[str, list[int]] = {}
    for part in text.split(";"):
        if not part.strip():
            continue
        name, colon, figures = part.rpartition(":")
        try:
            found[name.strip()] = [int(figure) for figure in figures.split(",")] if figures.strip() else []
        except ValueError:
            return None
        if not colon or not name.strip():
            return None
    return found


def _layout(settings: Settings) -> Iterator[Fault]:
    layout = settings.get("input_format", "")
    known = atc_options.options()["input_format"].frameworks.get(settings.get("framework", "5"))
    if layout and known and layout not in known and not _wanted_by_gears(settings, layout):
        why = f"With --framework={settings.get('framework', '5')} atc takes {', '.join(known)} (E10001)."
        yield fault("input_format", "error", f"--input_format is '{layout}'.", why, "Leave it away: NCHW is taken.",
                    input_format=None)  # fmt: skip
    if "dynamic_dims" in settings and layout != "ND":
        yield fault("input_format", "error", "--dynamic_dims wants --input_format=ND.", "atc refuses it (E10001).",
                    "Write --input_format=ND.", input_format="ND")  # fmt: skip
    if "dynamic_image_size" in settings and layout in ("ND", "NCDHW", "NDHWC"):
        yield fault("input_format", "error", "--dynamic_image_size wants NCHW or NHWC.", "atc refuses it (E10001).",
                    "Leave --input_format away.", input_format=None)  # fmt: skip


def _wanted_by_gears(settings: Settings, layout: str) -> bool:
    return layout == "ND" and "dynamic_dims" in settings


def _range(text: str, gear: str, settings: Settings, machine: Machine) -> Iterator[Fault]:
    chip = chip_of(settings, machine)
    remedy = "Write a fixed shape, or gears: --dynamic_batch_size, --dynamic_image_size or --dynamic_dims."
    if gear:
        yield fault("input_shape", "error", f"--{gear} does not go with a range in --input_shape.",
                    "Changing dimensions are written -1 then (E10009, E10040).", remedy)  # fmt: skip
    elif chip.startswith("Ascend310B"):
        yield fault("input_shape", "error", f"A shape range is not supported on {chip}.",
                    "Atlas 200I/500 A2 run fixed shapes and gears only.", remedy)  # fmt: skip


def _figures(dims: dict[str, list[int]], gear: str) -> Iterator[Fault]:
    for name, figures in dims.items():
        wrong = [figure for figure in figures if figure == 0 or figure < -1]
        if wrong:
            yield fault("input_shape", "error", f"Input '{name[:60]}' has a dimension of {wrong[0]}.",
                        "Dimensions are positive (E10011); -1 only where gears decide.", NAMES_SHAPES)  # fmt: skip


def _bare(dims: dict[str, list[int]], settings: Settings, machine: Machine) -> Iterator[Fault]:
    if not any(-1 in figures for figures in dims.values()):
        return
    chip = chip_of(settings, machine)
    if all(-1 not in figures[1:] for figures in dims.values()):
        fixed = {name: [1 if figure == -1 else figure for figure in figures] for name, figures in dims.items()}
        remedy = 'Write a batch of 1, or add --dynamic_batch_size="1,2,4".'
        change = {"input_shape": written(fixed)}
    else:
        remedy, change = "Write fixed figures, or add gears for what is -1 (--dynamic_image_size, --dynamic_dims).", {}
    if chip.startswith("Ascend310B"):
        yield fault("input_shape", "error", "--input_shape has -1 and no gears.",
                    f"A shape that changes freely is not supported on {chip}.", remedy, **change)  # fmt: skip
    else:
        yield fault("input_shape", "warning", "--input_shape has -1 and no gears.",
                    "atc builds a model whose shapes are known only when it runs: slower, and not for every operator.",
                    remedy)  # fmt: skip


def written(dims: dict[str, list[int]]) -> str:
    return ";".join(f"{name}:{','.join(map(str, figures))}" for name, figures in dims.items())


def _gears(gear: str, dims: dict[str, list[int]], settings: Settings, machine: Machine) -> Iterator[Fault]:
    gears = _read_gears(settings[gear], gear)
    if gears is None:
        yield fault(gear, "error", f"--{gear} is '{settings[gear][:80]}'.",
                    "Gears are whole positive numbers (E10001, E10020, E10038).",
                    f"Write --{gear}=\"{FORMS[gear]}\".")  # fmt: skip
        return
    yield from _count(gear, gears, settings, machine)
    yield from {"dynamic_batch_size": _batch, "dynamic_image_size": _image, "dynamic_dims": _dims}[gear](
        dims, gears, settings
    )


def _read_gears(text: str, gear: str) -> list[tuple[int, ...]] | None:
    parts = text.split(",") if gear == "dynamic_batch_size" else [part for part in text.split(";") if part.strip()]
    try:
        gears = [tuple(int(figure) for figure in part.split(",")) for part in parts]
    except ValueError:
        return None
    bad = gear == "dynamic_image_size" and any(len(one) != 2 for one in gears)
    return None if bad or not gears or any(figure <= 0 for one in gears for figure in one) else gears


def _count(gear: str, gears: list[tuple[int, ...]], settings: Settings, machine: Machine) -> Iterator[Fault]:
    most = 256 if chip_of(settings, machine).startswith("Ascend950") else 100
    sign = "," if gear == "dynamic_batch_size" else ";"
    if len(set(gears)) != len(gears):
        gears = list(dict.fromkeys(gears))
        text = sign.join(",".join(map(str, one)) for one in gears)
        yield fault(gear, "error", f"--{gear} has a gear twice.", "Gears must differ (E10039).", "Keep each once.",
                    **{gear: text})  # fmt: skip
    if len(gears) < FEWEST_GEARS:
        yield fault(gear, "error", f"--{gear} has one gear.", "atc wants at least 2 (E10035); one is a fixed shape.",
                    "Write the figures in --input_shape and leave the gears away.")  # fmt: skip
    elif len(gears) > most:
        text = sign.join(",".join(map(str, one)) for one in gears[:most])
        yield fault(gear, "error", f"--{gear} has {len(gears)} gears.", f"atc takes at most {most} (E10036).",
                    f"Keep {most}.", **{gear: text})  # fmt: skip


def _batch(dims: dict[str, list[int]], gears: list[tuple[int, ...]], settings: Settings) -> Iterator[Fault]:
    for name, figures in dims.items():
        if -1 in figures[1:]:
            yield fault("input_shape", "error", f"Input '{name[:60]}' has -1 behind the batch.",
                        "With --dynamic_batch_size only the batch may be -1 (E10018).",
                        "Write -1 first and figures behind it; other axes are for --dynamic_dims.")  # fmt: skip
    if not any(-1 in figures for figures in dims.values()):
        changed = {name: [-1, *figures[1:]] if figures else [] for name, figures in dims.items()}
        yield fault("input_shape", "error", "No batch in --input_shape is -1.", "Batch gears need one (E10031).",
                    f"Write \"{written(changed)}\".", input_shape=written(changed))  # fmt: skip


def _image(dims: dict[str, list[int]], gears: list[tuple[int, ...]], settings: Settings) -> Iterator[Fault]:
    axes = [1, 2] if settings.get("input_format") == "NHWC" else [2, 3]
    wrong = [
        name
        for name, figures in dims.items()
        if -1 in figures and (len(figures) != 4 or [axis for axis in range(4) if figures[axis] == -1] != axes)
    ]
    if wrong:
        yield fault("input_shape", "error", f"Input '{wrong[0][:60]}' has -1 elsewhere than in height and width.",
                    "With --dynamic_image_size exactly those two are -1 (E10019).",
                    "Write \"name:1,3,-1,-1\"; other axes are for --dynamic_dims.")  # fmt: skip
    elif not any(-1 in figures for figures in dims.values()):
        changed = {n: [*f[:2], -1, -1] if axes == [2, 3] and len(f) == 4 else f for n, f in dims.items()}
        change = {"input_shape": written(changed)} if changed != dims else {}
        yield fault("input_shape", "error", "No height and width in --input_shape is -1.",
                    "Image gears need them (E10040).", "Write \"name:1,3,-1,-1\".", **change)  # fmt: skip


def _dims(dims: dict[str, list[int]], gears: list[tuple[int, ...]], settings: Settings) -> Iterator[Fault]:
    free = sum(figures.count(-1) for figures in dims.values())
    lengths = sorted({len(one) for one in gears})
    if lengths != [free]:
        yield fault("dynamic_dims", "error",
                    f"--input_shape has {free} -1, and the gears have {' or '.join(map(str, lengths))} figures.",
                    "Each gear needs one figure for each -1, in order over inputs (E10037, E10040, E10045, E10046).",
                    "Write as many figures in each gear as there are -1.")  # fmt: skip
