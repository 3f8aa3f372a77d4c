"""A recorder in the place of torch_npu, written into a test's own folder: it proves which calls the exported script
makes and in which order. It measures nothing: "npu:0" is the CPU here, and the capture that its profiler leaves is a
recorded one, copied."""

from __future__ import annotations

import json
from pathlib import Path

RECORDER = '''
"""RECORDER, not torch_npu: writes down what is called."""
import json, os, shutil, sys, types
from pathlib import Path
import torch

__version__ = "0.recorder"
_LOG = Path(os.environ["RECORDER_LOG"])

def _told(name, *args, **words):
    with _LOG.open("a") as out:
        out.write(json.dumps([name, [str(a) for a in args], {k: str(v) for k, v in words.items()}]) + "\\n")

_tensor_to, _module_to = torch.Tensor.to, torch.nn.Module.to

def _tensor(self, *args, **words):
    if args and args[0] == "npu:0":
        _told("tensor.to", *args)
        return self.clone()
    return _tensor_to(self, *args, **words)

def _module(self, *args, **words):
    if args and args[0] == "npu:0":
        _told("module.to", *args)
        return self
    return _module_to(self, *args, **words)

torch.Tensor.to, torch.nn.Module.to = _tensor, _module

import torch.export.passes
torch.export.passes.move_to_device_pass = lambda program, device: (_told("move_to_device_pass", device), program)[1]

npu = types.SimpleNamespace(
    is_available=lambda: os.environ.get("RECORDER_NO_NPU") is None,
    set_device=lambda device: _told("set_device", device),
    synchronize=lambda: _told("synchronize"),
    get_device_name=lambda index: "RECORDER",
)

class _profile:
    def __init__(self, **words):
        _told("profile", **words)
        self._handler, self._schedule, self._step = words["on_trace_ready"], words["schedule"], 0
    def __enter__(self):
        _told("enter")
        return self
    def step(self):
        _told("step")
        self._step += 1
    def __exit__(self, *error):
        _told("exit")
        if self._step >= self._schedule["skip_first"] + self._schedule["warmup"] + self._schedule["active"]:
            self._handler()

def _handler(folder):
    def write():
        output = Path(folder) / "recorder_1_2026_ascend_pt" / "ASCEND_PROFILER_OUTPUT"
        output.mkdir(parents=True)
        for path in Path(os.environ["RECORDER_CAPTURE"]).glob("pt_standalone_*"):
            shutil.copyfile(path, output / path.name.replace("pt_standalone_", ""))
    return write

profiler = types.SimpleNamespace(
    profile=_profile,
    schedule=lambda **words: (_told("schedule", **words), words)[1],
    tensorboard_trace_handler=_handler,
    _ExperimentalConfig=lambda **words: (_told("_ExperimentalConfig", **words), "config")[1],
    ProfilerActivity=types.SimpleNamespace(CPU="CPU", NPU="NPU"),
    ProfilerLevel=types.SimpleNamespace(Level1="Level1"),
    AiCMetrics=types.SimpleNamespace(PipeUtilization="PipeUtilization"),
    ExportType=types.SimpleNamespace(Text="Text"),
)
'''


def install(folder: Path, captures: Path) -> dict[str, str]:
    """Writes the recorder into `folder`; the variables with which a Python finds it."""
    (folder / "torch_npu").mkdir(parents=True)
    (folder / "torch_npu" / "__init__.py").write_text(RECORDER)
    return {
        "PYTHONPATH": str(folder),
        "RECORDER_LOG": str(folder / "calls.jsonl"),
        "RECORDER_CAPTURE": str(captures),
    }


def calls(folder: Path) -> list[tuple[str, list[str], dict[str, str]]]:
    return [tuple(json.loads(line)) for line in (folder / "calls.jsonl").read_text().splitlines()]
