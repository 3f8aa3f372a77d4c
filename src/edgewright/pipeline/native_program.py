"""The C++ program of a service, built for its device and put into the service folder: `serve: {engine: cpp}`.

It is built on the device itself where that has CMake, a compiler and headers; else here, for this machine's own
processor or, by a cross compiler, for 64-bit ARM. The folder that comes out is packed in place of the checked one; its
golden samples are the checked one's, so nothing goes live that answers otherwise.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import edgewright
from edgewright.codegen.program import sources, write_program
from edgewright.codegen.task_data import backend_of
from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError, ToolError
from edgewright.core.recipe import Artifact, ServiceSpec
from edgewright.core.record import Record, digest_of
from edgewright.device.durable import sha256_of
from edgewright.pipeline.device_program import operate
from edgewright.pipeline.progress import Progress
from edgewright.pipeline.project import Project
from edgewright.store.cache import code_version

PROGRAM = "bin/predict"
BUILD_S = 1200.0
CROSS = "aarch64-linux-gnu-g++"
STAND_IN = Path(edgewright.__file__).parent.parent.parent / "cannsim"
"""In a checkout: its headers and link-time library let a program for a board be built where no CANN is."""


@dataclass(frozen=True)
class NativeProgram(Record):
    """`builder` says where it was built: device, here, or cross."""

    artifact: Artifact
    backend: str
    builder: str


async def with_program(project: Project, artifact: Artifact, link: Link, progress: Progress) -> Artifact:
    """The artefact with its C++ program, in a folder of its own. InputError where the task has none, ToolError where
    no compiler is in reach or it fails."""
    backend = backend_of(artifact.service)
    texts = sources(artifact.service, backend)
    machine = str((await operate(link, "status", {"runtimes": []}))["machine"])
    key = digest_of(
        {name: text.hex() for name, text in texts.items()},
        artifact.files,
        link.address,
        machine,
        code_version("pipeline/native_program"),
    )
    kept = project.store.get("program", key, NativeProgram)
    if kept is not None and (kept.artifact.folder / PROGRAM).is_file():
        return kept.artifact
    progress.stage("compile", f"the C++ program for {machine}")
    with project.store.making("program", key) as folder:
        builder = await _compiled(artifact.service, backend, machine, link, folder / PROGRAM)
        shutil.copytree(artifact.folder, folder, dirs_exist_ok=True)
        _declare(artifact.service, backend, folder)
    folder = project.store.folder("program", key)
    files = {str(p.relative_to(folder)): sha256_of(str(p)) for p in sorted(folder.rglob("*")) if p.is_file()}
    made = NativeProgram(replace(artifact, folder=folder, files=files), backend, builder)
    return project.store.put("program", key, made).artifact


def _declare(service: ServiceSpec, backend: str, folder: Path) -> None:
    """service.json with the one key that makes the agent ask the program."""
    whole = {**service.to_json(), "program": {"path": PROGRAM, "backend": backend}}
    text = json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False)
    (folder / "service.json").write_text(text + "\n", encoding="utf-8")


async def _compiled(service: ServiceSpec, backend: str, machine: str, link: Link, out: Path) -> str:
    """Writes the program to `out` and says where it was built."""
    out.parent.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="edgewright-program-") as place:
        refused: ToolError | None = None
        if await _has_compiler(link):
            write_program(service, Path(place) / "project", backend=backend)
            try:
                await _on_device(Path(place) / "project", backend, link, out)
                return "device"
            except ToolError as error:  # a compiler but no headers: the vendor's runtime package has none
                refused = error
        try:
            shutil.copyfile(compile_here(service, backend, machine, Path(place) / "here"), out)
        except ToolError as error:
            raise refused or error from None
        return "here" if machine == platform.machine() else "cross"


def compile_here(service: ServiceSpec, backend: str, machine: str, place: Path) -> Path:
    """The program of a service for a processor (`machine` as uname says it), built on this one in the folder `place`.
    ToolError where the compiler for it is not here or fails."""
    if machine not in (platform.machine(), "aarch64"):
        raise ToolError(
            f"The device has no CMake and compiler, and no program for {machine} can be built here.",
            "Install cmake, make and g++ on the device, or leave out `serve: {engine: cpp}`.",
        )
    project = place / "project"
    write_program(service, project, backend=backend)
    options = _own_options(backend) if machine == platform.machine() else _cross_options(place, backend)
    for words in _steps(str(project), backend, options):
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=BUILD_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ToolError(f"{words[0]} could not be run: {error}.", "Install cmake, make and g++.") from None
        if done.returncode != 0:
            raise _failed(done.stdout + done.stderr)
    return project / "build" / "predict"


async def _has_compiler(link: Link) -> bool:
    for words in (["cmake", "--version"], ["c++", "--version"], ["make", "--version"]):
        try:
            if (await link.run(words, timeout_s=30)).returncode != 0:
                return False
        except (DeviceError, OSError):
            return False
    return True


async def _on_device(project: Path, backend: str, link: Link, out: Path) -> None:
    remote = str(project) if link.shares_files else f"{link.scratch}/program-{digest_of(str(out))[:16]}"
    if not link.shares_files:
        await link.put(project, remote)
    options = []
    if backend == "openvino":
        asked = "import importlib.util as u; print(u.find_spec('openvino').submodule_search_locations[0])"
        done = await link.run([link.python, "-c", asked], timeout_s=60)
        if done.returncode != 0:
            raise ToolError("The device's Python has no OpenVINO to build with.", "Install openvino there.")
        options = [f"-DOpenVINO_DIR={done.stdout.strip()}/cmake"]
    for words in _steps(remote, backend, options):
        done = await link.run(words, timeout_s=BUILD_S)
        if done.returncode != 0:
            raise _failed(done.stdout + done.stderr)
    if link.shares_files:
        shutil.copyfile(project / "build" / "predict", out)
    else:
        await link.get(f"{remote}/build/predict", out)


def _steps(project: str, backend: str, options: Sequence[str]) -> list[list[str]]:
    """A child process is fed pixels: it needs no OpenCV, and so a device need not have any. All sources go through the
    compiler in one piece, which halves its time; a board's is slow."""
    configure = ["cmake", "-S", project, "-B", f"{project}/build", f"-DBACKEND={backend}", "-DWITH_OPENCV=OFF"]
    configure += ["-DCMAKE_UNITY_BUILD=ON", "-DCMAKE_UNITY_BUILD_BATCH_SIZE=0"]
    return [[*configure, *options], ["cmake", "--build", f"{project}/build", "--parallel", "2"]]


def _own_options(backend: str) -> list[str]:
    found = find_spec("openvino") if backend == "openvino" else None
    places = list(found.submodule_search_locations or ()) if found else []
    return [f"-DOpenVINO_DIR={places[0]}/cmake"] if places else []


def _cross_options(place: Path, backend: str) -> list[str]:
    """For 64-bit ARM: the vendor's own libraries are on the board, so what is linked here only bears their names."""
    if shutil.which(CROSS) is None:
        raise ToolError(f"{CROSS} is not installed.", "Install g++-aarch64-linux-gnu, or cmake and g++ on the device.")
    options = ["-DCMAKE_TOOLCHAIN_FILE=cmake/aarch64-linux-gnu.cmake"]
    if backend != "ascendcl":
        raise ToolError("OpenVINO's libraries for ARM are not here.", "Install cmake and g++ on the device.")
    if not STAND_IN.is_dir():
        return options  # a toolkit of this machine then has to be found, which CMake says if it is not
    stub = place / "stub"
    make = ["make", "-C", str(STAND_IN), "stub", f"CC={CROSS.replace('g++', 'gcc')}", f"OUT={stub}"]
    done = subprocess.run(make, capture_output=True, text=True, timeout=BUILD_S, check=False)
    if done.returncode != 0:
        raise _failed(done.stdout + done.stderr)
    return [*options, f"-DASCEND_INCLUDE_DIR={STAND_IN / 'include'}", f"-DASCEND_LIBRARY_DIR={stub}"]


def _failed(output: str) -> ToolError:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    said = [line for line in lines if "rror" in line] or lines
    return ToolError(
        f"The C++ program could not be built: {' | '.join(said[:3])[:600]}",
        "Install what it misses where it is built, or leave out `serve: {engine: cpp}`.",
    )
