"""The names of chips as atc wants them (`--soc_version`), and how the vendor's tools spell the same chip.

Names: the files of platform_config in CANN 8.1.RC1. Rule (vendor): "Ascend" and the Name that `npu-smi info` prints;
A3 and 950: the chip's name, `_`, and the NPU Name of `npu-smi info -t board -i N -c C`.
"""

from __future__ import annotations

import re

from edgewright.core.errors import ConfigError

KNOWN = (
    *("Ascend310", "Ascend310B1", "Ascend310B2", "Ascend310B3", "Ascend310B4"),
    *("Ascend310P1", "Ascend310P3", "Ascend310P5", "Ascend310P7"),
    *("Ascend910A", "Ascend910B", "Ascend910ProA", "Ascend910ProB", "Ascend910PremiumA"),
    *("Ascend910B1", "Ascend910B2", "Ascend910B2C", "Ascend910B3", "Ascend910B4", "Ascend910B4-1"),
    *("Ascend910_9362", "Ascend910_9372", "Ascend910_9381", "Ascend910_9382", "Ascend910_9391", "Ascend910_9392"),
)
"""Every chip that atc of CANN 8.1 knows. `Ascend910B` among them is the chip of 2019, not 910B1 to B4."""
A3 = ", ".join(name for name in KNOWN if name.startswith("Ascend910_"))

VAGUE = {
    "Ascend310B": "Ascend310B4 for an Atlas 200I DK A2, Ascend310B1 for a board of 20 TOPS",
    "Ascend310P": "Ascend310P3 for an Atlas 300I Pro, 300I Duo or 300V, Ascend310P1 for an Atlas 200I SoC A1",
    "Ascend910": "Ascend910A for the first generation, Ascend910B1 to Ascend910B4 for A2 machines",
    "Ascend910C": f"the one of your A3 machine: {A3}",
    "Ascend910_93": f"the one of your A3 machine: {A3}",
    "Ascend910Pro": "Ascend910ProA or Ascend910ProB",
}
"""Names of families of chips: atc does not know them, or they do not say which chip."""

NEWER = re.compile(r"Ascend950[A-Z]*_[0-9A-Za-z]{1,12}")
"""Chips newer than that table, by the rule alone (users' programs name Ascend950PR_9579 and Ascend950PR_9599)."""

FIRST_910B = "Ascend910B1, Ascend910B2, Ascend910B2C, Ascend910B3, Ascend910B4 or Ascend910B4-1, as npu-smi shows it"


def in_table(text: str) -> bool:
    return text in KNOWN or NEWER.fullmatch(text) is not None


def checked(text: str, reported: str = "") -> str:
    """`text` if it is a chip's name as atc knows it. ConfigError, with the right name, for any other.

    `reported` is what the device says of itself: a chip newer than the table passes by that name, and atc has the last
    word; the name of a family does not.
    `Ascend910B` is refused although atc takes it: it is the chip of 2019, nearly everybody who writes it means one of
    910B1 to 910B4, and an .om for the one does not load on the other.
    """
    if text == "Ascend910B":
        message = "soc_version 'Ascend910B' is an older chip (2019), not the 910B1 to 910B4 of A2 machines."
        raise ConfigError(message, f"Write {FIRST_910B}.")
    if in_table(text):
        return text
    if text == reported and text not in VAGUE and re.fullmatch(r"Ascend[0-9]{3}[0-9A-Za-z_-]{1,16}", text):
        return text
    bare = re.sub(r"^ascend[\s_-]*", "", text.strip(), flags=re.IGNORECASE)
    for name, meant in VAGUE.items():
        if bare.lower() == name.removeprefix("Ascend").lower():
            raise ConfigError(f"soc_version '{text}' is a family of chips, and atc needs the chip.", f"Write {meant}.")
    for name in KNOWN:
        if bare.lower() == name.removeprefix("Ascend").lower():
            name = FIRST_910B if name == "Ascend910B" else name
            raise ConfigError(f"soc_version '{text}' is not spelled as atc wants it.", f"Write {name}.")
    raise ConfigError(f"soc_version '{text}' is no chip that atc knows.", _nearest(f"Ascend{bare}"))


def _nearest(name: str) -> str:
    """The chips that begin as `name` does, at least as far as the model ("Ascend310"); all of them else."""
    for length in range(len(name), len("Ascend310") - 1, -1):
        near = [known for known in KNOWN if known.lower().startswith(name[:length].lower())]
        if near:
            return f"Write one of {', '.join(near)}; `npu-smi info` shows which."
    return f"Known: {', '.join(KNOWN)}."


def from_npu_smi_name(name: str, npu_name: str = "") -> str:
    """soc_version of a chip that npu-smi prints as `name` ("310B4", "Ascend910", "Ascend 910B3").

    `npu_name` is the NPU Name of `npu-smi info -t board`, which A3 machines need ("9382"). The result is the vendor's
    rule applied; whether atc knows it is for `checked` to say: chips newer than the list come through.
    ConfigError for what is no name of a chip.
    """
    bare = re.sub(r"^ascend[\s_]*", "", name.strip(), flags=re.IGNORECASE)
    if not re.fullmatch(r"[0-9]{3}[0-9A-Za-z_-]{0,16}", bare):
        raise ConfigError(f"'{name}' is no name of an Ascend chip.", "Look at the Name column of `npu-smi info`.")
    number = re.sub(r"^(ascend)?[\s_]*(910[\s_]*)?", "", npu_name.strip(), flags=re.IGNORECASE)
    if re.fullmatch(r"910|910C|910_93|950[A-Z]*", bare, re.IGNORECASE) and re.fullmatch(r"9[0-9a-z]{3}", number):
        family = bare if bare.startswith("950") else "910"
        return f"Ascend{family}_{number}"
    return "Ascend" + bare
