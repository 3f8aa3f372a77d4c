"""A recipe's .om: the conversion prepared here, run on the host that has the toolkit, brought back."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edgewright.core.contracts import BuildResult, Completed, Link
from edgewright.core.errors import DeviceError, ToolError
from edgewright.core.model import Model, Role
from edgewright.core.profile import Finding
from edgewright.core.recipe import EngineSpec, Recipe
from edgewright.core.task import Dataset, TaskSpec
from edgewright.targets import emit
from edgewright.targets.cann import amct, check_result, fusion, toolkit, vendor_errors
from edgewright.targets.cann.atc_options import older
from edgewright.targets.cann.conversion import Conversion, prepare
from edgewright.targets.cann.offers import newest_opset
from edgewright.targets.cann.quantised_model import counts
from edgewright.targets.cann.toolkit import Toolkit

TIMEOUT_S = 7200.0
"""Conversion on a board itself takes tens of minutes for a small network."""
SMALL = 64 << 20
_IN_FOLDER = "import os, sys\nos.chdir(sys.argv[1])\nos.execvp(sys.argv[2], sys.argv[2:])"


async def build_on(
    host: Link,
    models: Mapping[Role, Model],
    spec: TaskSpec,
    recipe: Recipe,
    calibration: Dataset | None,
    folder: Path,
) -> BuildResult:
    """Writes `folder`/model/<role>.om. ToolError with the vendor's own code where a tool fails, or where there is no
    toolkit on `host`."""
    found = await toolkit.find(host, str(recipe.toolchain.get("toolkit") or ""))
    if found is None or "atc" not in found.tools:
        raise ToolError(
            f"There is no CANN toolkit (atc) on {host.address}.",
            "Name one by `options: {toolkit: DIR}` or `host: ssh://…`; or write the conversion for another machine: "
            "`edgewright export-code convert`, then `edgewright build --import`.",
        )
    theirs = _for_converter(recipe, found.version, host.address)
    with tempfile.TemporaryDirectory(prefix="edgewright-cann-") as work:
        conversions = prepare(models, spec, theirs, calibration, Path(work))
        finished = [await _convert(host, one, recipe, found, folder) for one in conversions]
    return assemble(recipe, conversions, finished, folder)


def _for_converter(recipe: Recipe, version: str, address: str) -> Recipe:
    """The recipe for the converter's own CANN: that is what reads the graph and the options. ToolError where the device
    has an older one: an .om runs on the CANN that made it or on a newer one (GE docs; cann.md 1.5)."""
    device = str(recipe.toolchain.get("cann") or "")
    if older(device, version):
        raise ToolError(
            f"What CANN {version} on {address} converts does not run on CANN {device}, which the device has.",
            f"Name a toolkit of CANN {device} or older by `options: {{toolkit: DIR}}` or `host: ssh://…`, or "
            "upgrade the device.",
        )
    if not version:
        return recipe
    newest = newest_opset(version)
    steps = tuple(
        replace(step, params={**step.params, "at_most": min(int(step.params["at_most"]), newest)})
        if step.kind == "set_opset" and "at_most" in step.params
        else step
        for step in recipe.graph
    )
    return replace(recipe, graph=steps, toolchain={**recipe.toolchain, "cann": version})


async def _convert(host: Link, conversion: Conversion, recipe: Recipe, found: Toolkit, folder: Path) -> dict[str, int]:
    """Runs the commands where the toolkit is; the .om and the small side files come back into `folder`."""
    remote = f"{host.scratch}/convert-{recipe.fingerprint()[:12]}-{conversion.role}"
    await _remove(host, remote)
    await host.put(conversion.folder, remote)
    for command in conversion.commands:
        # by the path that was found: AMCT is often where no PATH leads (~/.local/bin)
        program = found.tools.get(command[0], command[0])
        argv = [host.python, "-c", _IN_FOLDER, remote, program, *command[1:]]
        done = await host.run(argv, env=found.converting, timeout_s=TIMEOUT_S)
        await _require(host, remote, command[0], done)
    logs = folder / "logs" / conversion.role
    logs.mkdir(parents=True, exist_ok=True)
    await host.get(f"{remote}/{await _made(host, remote, conversion.role)}", folder / "model" / f"{conversion.role}.om")
    for name in ("fusion_result.json", "aipp.cfg", "amct.cfg", "amct_log/amct_onnx.log"):
        await _fetch(host, f"{remote}/{name}", logs / Path(name).name)
    quantised = await _quantised(host, remote, recipe)
    await _remove(host, remote)
    return quantised


async def _require(host: Link, remote: str, tool: str, done: Completed) -> None:
    if done.returncode == 0:
        return
    checked = None
    with tempfile.TemporaryDirectory() as here:
        report = Path(here) / "check_result.json"
        if await _fetch(host, f"{remote}/check_result.json", report):
            checked = check_result.read(report.read_text(encoding="utf-8", errors="replace"))
    raise vendor_errors.tool_error(tool, done, log=remote, check_result=checked)


async def _made(host: Link, remote: str, role: Role) -> str:
    """The .om's name: `<role>.om`, or with the system it was bound to."""
    look = "import glob, os, sys\nos.chdir(sys.argv[1])\nprint('\\n'.join(sorted(glob.glob(sys.argv[2] + '*.om'))))"
    done = await host.run([host.python, "-c", look, remote, role], timeout_s=60)
    names = done.stdout.split()
    if not names:
        raise ToolError("atc said that it succeeded, and there is no .om.", f"Look at {remote} on {host.address}.")
    return names[0]


async def _fetch(host: Link, remote: str, local: Path) -> bool:
    """Brings a small file where it is there."""
    stat = await host.stat(remote)
    if stat is None or stat.is_dir or stat.size > SMALL:
        return False
    await host.get(remote, local)
    return True


async def _quantised(host: Link, remote: str, recipe: Recipe) -> dict[str, int]:
    if not recipe.quantiser.get("kind"):
        return {}
    with tempfile.TemporaryDirectory() as here:
        local = Path(here) / amct.DEPLOYED
        if await host.stat(f"{remote}/{amct.DEPLOYED}") is None:
            return {}
        await host.get(f"{remote}/{amct.DEPLOYED}", local)
        return counts(emit.read_graph(local))


async def _remove(host: Link, remote: str) -> None:
    if await host.stat(remote) is None:
        return
    done = await host.run([host.python, "-c", "import shutil, sys; shutil.rmtree(sys.argv[1])", remote], timeout_s=120)
    if done.returncode:
        raise DeviceError(f"{remote} on {host.address} cannot be removed.", "Remove it by hand and build again.")


def assemble(
    recipe: Recipe, conversions: tuple[Conversion, ...], quantised: list[dict[str, int]], folder: Path
) -> BuildResult:
    """The service of finished conversions, with what the converter reported of itself."""
    engines: dict[str, EngineSpec] = {}
    notes: list[str] = []
    reports: list[Finding] = []
    total: dict[str, int] = {}
    for one, counted in zip(conversions, quantised, strict=True):
        settings = {"device": 0, "inputs": [p.name for p in one.inputs], "outputs": [p.name for p in one.outputs]}
        engines[one.role] = EngineSpec(f"model/{one.role}.om", settings, one.inputs, one.outputs)
        notes += one.notes
        reports += one.findings
        fused = folder / "logs" / one.role / "fusion_result.json"
        if fused.is_file():
            reports += fusion.read(fused.read_text(encoding="utf-8", errors="replace"))
        for name, count in counted.items():
            total[name] = total.get(name, 0) + count
    service = emit.service(recipe, conversions[-1].task, engines)
    service = replace(service, simulated=bool(recipe.toolchain.get("simulated")))
    return BuildResult(service, total, tuple(dict.fromkeys(notes)), tuple(reports))
