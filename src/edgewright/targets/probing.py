"""Probe: a small program run on the device, with matrix products for the family's own runtime to run at full speed."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import edgewright
from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError
from edgewright.core.facts import Facts
from edgewright.targets import emit

SIZE = 1024
LAYERS = 4
OPERATIONS = 2.0 * LAYERS * SIZE**3
SECONDS = 0.4
PACKAGE = Path(edgewright.__file__).parent


async def probe(link: Link, family: str, settings: Mapping[str, Mapping[str, Any]]) -> Facts:
    """Facts of the device. `settings` maps each precision worth measuring to its engine settings; one that the
    runtime does not execute is absent from the peaks. DeviceError where the runtime cannot run at all."""
    remote = f"{link.scratch}/probe-{family}"
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), family, settings)
        await link.put(Path(folder), remote)
    argv = [link.python, "-m", "edgewright.device.probe", remote]
    done = await link.run(argv, env={"PYTHONPATH": f"{remote}/app"}, timeout_s=300)
    return _read(done.stdout, done.stderr, family)


def _read(stdout: str, stderr: str, family: str) -> Facts:
    try:
        answer = json.loads(stdout.strip().splitlines()[-1])
        facts = Facts.from_json(answer["facts"])
    except (ValueError, KeyError, IndexError, TypeError):
        tail = " ".join(stderr.split())[-300:]
        raise DeviceError(f"The probe gave no facts: {tail}", "Look at Python and numpy on the device.") from None
    if answer.get("unusable"):
        reason = str(answer.get("problems"))[:400]
        raise DeviceError(f"{family} does not run on the device: {reason}", f"Install {family} on the device.")
    return facts


def _write(folder: Path, family: str, settings: Mapping[str, Mapping[str, Any]]) -> None:
    device = folder / "app" / "edgewright" / "device"
    device.mkdir(parents=True)
    (folder / "model").mkdir()
    shutil.copyfile(PACKAGE / "__init__.py", device.parent / "__init__.py")
    for source in (PACKAGE / "device").glob("*.py"):
        shutil.copyfile(source, device / source.name)
    shutil.copyfile(PACKAGE / "targets" / family / "ondevice.py", folder / "app" / "engine.py")
    products = []
    for precision, chosen in settings.items():
        path = f"model/{'int8' if precision == 'int8' else 'float'}.onnx"
        if not (folder / path).exists():
            emit.write_graph(product(quantised=precision == "int8"), folder / path)
        products.append({"precision": precision, "path": path, "settings": chosen, "operations": OPERATIONS})
    plan = {"family": family, "seconds": SECONDS, "products": products}
    (folder / "probe.json").write_text(json.dumps(plan), encoding="utf-8")


def product(*, quantised: bool) -> Any:
    """LAYERS products of SIZE×SIZE matrices in a row; `quantised`, in the QDQ form that every CPU runtime reads."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    weight = random.integers(-127, 128, (SIZE, SIZE)).astype(np.int8)
    stored, nodes = [], []
    scales = {"scale": np.float32(1 / 128), "zero": np.uint8(128), "wscale": np.float32(1e-3), "wzero": np.int8(0)}
    stored += [numpy_helper.from_array(np.asarray(value), name) for name, value in scales.items()]
    stored.append(numpy_helper.from_array(weight if quantised else weight.astype(np.float32) * 1e-3, "weight"))

    def add(kind: str, entering: list[str], leaving: str) -> str:
        nodes.append(helper.make_node(kind, entering, [leaving], name=leaving))
        return leaving

    here = "x"
    for i in range(LAYERS):
        weights = "weight"
        if quantised:
            here = add("QuantizeLinear", [here, "scale", "zero"], f"q{i}")
            here = add("DequantizeLinear", [here, "scale", "zero"], f"d{i}")
            weights = add("DequantizeLinear", ["weight", "wscale", "wzero"], f"w{i}")
        here = add("MatMul", [here, weights], f"y{i}")
    if quantised:
        here = add("QuantizeLinear", [here, "scale", "zero"], "qy")
        here = add("DequantizeLinear", [here, "scale", "zero"], "y")
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [SIZE, SIZE]) for name in ("x", here)]
    if not quantised:
        stored = stored[-1:]
    graph = helper.make_graph(nodes, "product", ports[:1], ports[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=emit.IR_VERSION)
