"""What atc and AMCT need where they run: programs, Python packages, the chip's operators, a compiler, disk, memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from edgewright.core.facts import Check
from edgewright.targets.cann.toolkit import Toolkit

GIB = 1 << 30
LEAST_DISK, LEAST_MEMORY = 2 * GIB, 4 * GIB
"""Our own figures: what kernels, logs and one usual model take, and what boards of 4 GB do not have free."""
NEEDED = ("sympy", "decorator", "psutil", "attrs", "cffi", "pyyaml", "protobuf")
PACKAGES = ("numpy", *NEEDED, "scipy")
SPARING = "TE_PARALLEL_COMPILER=1 and MAX_COMPILE_CORE_NUMBER=1 are said to spare memory (not confirmed)."
ELSEWHERE = "Convert on another machine: `host:` in the target's entry, or `edgewright export-code convert`."


def checks(found: Toolkit, system: Mapping[str, Any], soc_version: str) -> Iterator[Check]:
    """Checks of conversion; where atc is not, the one that says so and nothing more.

    None is required: a device may run what another machine converts.
    """
    atc = found.tools.get("atc", "")
    if not atc:
        yield Check("atc", False, "a CANN runtime without atc", f"Install the toolkit. {ELSEWHERE}", required=False)
        return
    yield Check("atc", True, atc, required=False)
    amct = found.tools.get("amct_onnx", "")
    remedy = "Install AMCT from the vendor's package (it is not on PyPI); without it models stay FP16."
    yield Check("AMCT", bool(amct), amct or "no amct_onnx", "" if amct else remedy, required=False)
    yield from _python(found, system)
    yield _operators(found, system, soc_version)
    yield _compiler(found, str(system["compiler"]))


def _python(found: Toolkit, system: Mapping[str, Any]) -> Iterator[Check]:
    if found.simulated:
        yield Check("Python packages of atc", True, "the stand-in's atc runs in a Python of its own", required=False)
        return
    name, packages = "Python packages of atc", system["packages"]
    if not system["python"]:
        yield Check(name, False, "no python3 that atc would find", "Install Python 3.", required=False)
        return
    pip = f"{system['python']} -m pip install"
    numpy = str(packages.get("numpy", ""))
    fine = bool(re.match(r"[01]\.", numpy))
    detail = f"numpy {numpy or 'is missing'} in {system['python']} {system['python_version']}"
    yield Check("numpy of atc", fine, detail, "" if fine else f"{pip} 'numpy<2' (atc uses np.float_).", required=False)
    missing = [package for package in NEEDED if package not in packages]
    there = ", ".join(f"{package} {packages[package]}" for package in NEEDED if package in packages)
    detail = f"missing: {', '.join(missing)}" if missing else there
    yield Check(name, not missing, detail, f"{pip} {' '.join(missing)}" if missing else "", required=False)
    if "scipy" not in packages:
        detail = "scipy is missing; that atc needs it was seen and is not confirmed"
        yield Check("scipy of atc", False, detail, f"{pip} scipy", required=False)


def _operators(found: Toolkit, system: Mapping[str, Any], soc_version: str) -> Check:
    """CANN 8.5 and newer ship operators by chip in packages of their own; without them everything is unsupported."""
    name = "operators of the chip"
    if found.simulated:
        return Check(name, True, "the stand-in has all of them built in", required=False)
    if not soc_version:
        return Check(
            name, True, f"for {', '.join(system['operators']) or 'no chip'}; no chip here to compare", "", False
        )
    wanted = operator_family(soc_version)
    fine = wanted in system["operators"]
    remedy = f"Install the ops package (opp kernel) of CANN {found.version} for {soc_version}."
    return Check(name, fine, f"{wanted} {'is there' if fine else 'is missing'}", "" if fine else remedy, required=False)


def operator_family(soc_version: str) -> str:
    """The folder of opp/built-in/op_impl/ai_core/tbe/config that holds a chip's operators (names: CANN 8.1.RC1)."""
    for pattern, family in (
        (r"Ascend310B\d", "ascend310b"),
        (r"Ascend310P\d", "ascend310p"),
        (r"Ascend310$", "ascend310"),
        (r"Ascend910B\d", "ascend910b"),
        (r"Ascend910_93", "ascend910_93"),
        (r"Ascend910(A|B|Pro.|PremiumA)$", "ascend910"),
    ):
        if re.match(pattern, soc_version):
            return family
    return soc_version.lower()


def _compiler(found: Toolkit, compiler: str) -> Check:
    if found.simulated:
        return Check("g++ for kernels", True, "the stand-in's atc compiles none", required=False)
    remedy = "Install g++: atc compiles kernels (fatal error: 'cstdint' file not found)."
    return Check("g++ for kernels", bool(compiler), compiler or "no g++", "" if compiler else remedy, required=False)


def room(disk: int, memory: int) -> Iterator[Check]:
    """Disk and memory for a conversion, in bytes; `memory` 0 is not known."""
    fine = disk >= LEAST_DISK
    remedy = "" if fine else f"Make room: 2 GiB or more. {ELSEWHERE}"
    yield Check("disk for conversion", fine, f"{disk / GIB:.1f} GiB free", remedy, required=False)
    fine = memory >= LEAST_MEMORY or not memory
    remedy = "" if fine else f"atc is slow or is killed with less than 4 GiB. {ELSEWHERE} {SPARING}"
    detail = f"{memory / GIB:.1f} GiB available" if memory else "the system does not say"
    yield Check("memory for conversion", fine, detail, remedy, required=False)
