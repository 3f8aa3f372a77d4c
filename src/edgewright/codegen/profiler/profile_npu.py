"""Benchmarks and profiles a PyTorch model on an Ascend machine, and compares the NPU's outputs with the CPU's.

    python3 profile_npu.py                       # model and inputs as settings.json beside this file says
    python3 profile_npu.py --precision fp16      # the same in half precision
    edgewright profile --import prof             # on any machine: what the profile shows

Needs torch and the torch_npu made for it, and CANN's variables (`source set_env.sh`). Python >= 3.8. Writes
results.json (latency, accuracy, versions) and the profiler's folder, prof/*_ascend_pt.
Exit status: 0 done, 1 the outputs differ, 2 wrong arguments or files, 3 no NPU or it failed, 4 a tool is missing.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

HERE = Path(__file__).resolve().parent


class Failure(Exception):
    """What is wrong, what to do, and the exit status."""

    def __init__(self, message: str, remedy: str, status: int) -> None:
        super().__init__("%s\n%s" % (message, remedy))
        self.status = status


def main(arguments: Optional[Sequence[str]] = None) -> int:
    options = _options(arguments)
    try:
        results = run(options)
    except Failure as failure:
        print("profile_npu: %s" % failure, file=sys.stderr)
        return failure.status
    except Exception as error:  # torch and the driver fail in ways of their own: all of it is shown, as no result
        traceback.print_exc()
        print("profile_npu: it failed with %s, as shown above." % type(error).__name__, file=sys.stderr)
        print("Look at the NPU (npu-smi info) and at the plog folder in ~/ascend/log.", file=sys.stderr)
        return 3
    Path(options.out).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(_summary(results, options.out))
    return 0 if results["agrees"] else 1


def run(options: argparse.Namespace) -> Dict[str, Any]:
    """The whole measurement, as results.json holds it."""
    torch, torch_npu = _libraries(options.device)
    settings = _settings(options)
    inputs = _inputs(torch, settings, options)
    model = _model(torch, settings, options)
    with torch.no_grad():
        expected = _leaves(torch, _callable(model)(*inputs))
        placed, precision = _on_device(torch, model, options)
        on_device = [_cast(torch, tensor.to(options.device), precision) for tensor in inputs]
        computed = _leaves(torch, placed(*on_device))
        torch_npu.npu.synchronize()
        outputs = [_compare(torch, i, a, b) for i, (a, b) in enumerate(zip(expected, computed))]
        latencies = _timed(lambda: placed(*on_device), torch_npu.npu.synchronize, options.warmup, options.iterations)
        copies = _copies(inputs, on_device, computed, options.device, torch_npu.npu.synchronize)
        folder = None
        if not options.no_profile:
            folder = _profiled(torch_npu, lambda: placed(*on_device), options)
    enough = 0.999 if precision is None else 0.99
    return {
        "tool": "torch_npu",
        "device": _device_name(torch_npu),
        "versions": {
            "torch": torch.__version__,
            "torch_npu": torch_npu.__version__,
            "python": platform.python_version(),
        },
        "precision": options.precision,
        "latency_ms": _percentiles(latencies),
        "copies_ms": copies,
        "outputs": outputs,
        "agrees": len(expected) == len(computed) and all(one["cosine"] >= enough for one in outputs),
        "cosine_at_least": enough,
        "profile": folder,
    }


def _libraries(device: str) -> Any:
    try:
        import torch
    except ImportError as error:
        raise Failure("torch cannot be imported: %s." % error, "Install PyTorch in this Python.", 4) from None
    try:
        import torch_npu  # type: ignore[import-not-found, unused-ignore]
    except (ImportError, OSError) as error:
        raise Failure(
            "torch_npu cannot be imported: %s." % error,
            "Install the torch_npu made for torch %s, and source CANN's set_env.sh first." % torch.__version__,
            4,
        ) from None
    if not torch_npu.npu.is_available():
        raise Failure(
            "torch_npu finds no NPU.",
            "Check `npu-smi info`; a user without rights needs the group HwHiAiUser, a container its /dev/davinci*.",
            3,
        )
    torch_npu.npu.set_device(device)
    return torch, torch_npu


def _settings(options: argparse.Namespace) -> Dict[str, Any]:
    try:
        found = json.loads(Path(options.settings).read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not isinstance(found.get("inputs"), list):
            raise ValueError("it has no list of inputs")
        return found
    except (OSError, ValueError) as error:
        raise Failure("%s cannot be read: %s." % (options.settings, error), "Export the folder again.", 2) from None


def _model(torch: Any, settings: Dict[str, Any], options: argparse.Namespace) -> Any:
    """The first of the model's files that this PyTorch can read: a .pt2 wants a torch about as new as the one that
    wrote it, TorchScript (.ts) is read by far older ones."""
    tried: List[str] = []
    for name in [options.model] if options.model else settings["models"]:
        path = HERE / name
        try:
            if path.suffix == ".pt2":
                return torch.export.load(str(path))
            return torch.jit.load(str(path), map_location="cpu").eval()
        except Exception as error:  # noqa: BLE001 (each version of torch fails in its own way)
            tried.append("%s: %s" % (name, str(error).strip().splitlines()[0][:200] if str(error) else type(error)))
    raise Failure("No file of the model can be read: %s." % "; ".join(tried), "Use a newer PyTorch here.", 2)


def _inputs(torch: Any, settings: Dict[str, Any], options: argparse.Namespace) -> List[Any]:
    """One tensor for each input: from --inputs (an .npz by input name), else numbers from a fixed seed."""
    ports = settings["inputs"]
    if options.inputs:
        import numpy as np

        try:
            with np.load(options.inputs, allow_pickle=False) as arrays:
                return [torch.from_numpy(np.ascontiguousarray(arrays[port["name"]])) for port in ports]
        except (OSError, KeyError, ValueError) as error:
            raise Failure(
                "%s: %s." % (options.inputs, error), "Give an .npz with one array for each input.", 2
            ) from None
    generator = torch.Generator().manual_seed(0)
    made = []
    for port in ports:
        dtype = getattr(torch, port["dtype"])
        if dtype.is_floating_point:
            made.append(torch.rand(port["shape"], generator=generator, dtype=torch.float32).to(dtype))
        else:
            made.append(torch.randint(0, 2, port["shape"], generator=generator).to(dtype))
    return made


def _callable(model: Any) -> Any:
    """An exported program holds its module; TorchScript is one."""
    return model.module() if hasattr(model, "graph_signature") else model


def _on_device(torch: Any, model: Any, options: argparse.Namespace) -> Any:
    """The module on the NPU, and the type that floating inputs are cast to (None: as they are). An exported program may
    make tensors of its own on the device it was exported on: its pass moves those too, where this torch has it."""
    precision = {"fp32": None, "fp16": torch.float16, "bf16": torch.bfloat16}[options.precision]
    if hasattr(model, "graph_signature"):
        try:
            from torch.export.passes import move_to_device_pass

            model = move_to_device_pass(model, options.device)
        except ImportError:
            pass
    moved = _callable(model).to(options.device)
    return (moved if precision is None else moved.to(precision)), precision


def _cast(torch: Any, tensor: Any, precision: Any) -> Any:
    return tensor.to(precision) if precision is not None and tensor.is_floating_point() else tensor


def _timed(call: Callable[[], Any], synchronize: Callable[[], None], warmup: int, iterations: int) -> List[float]:
    """Milliseconds of each call. The NPU works behind the host's back: without waiting for it before and after,
    only the launch would be timed."""
    for _ in range(warmup):
        call()
    found = []
    for _ in range(iterations):
        synchronize()
        start = time.perf_counter()
        call()
        synchronize()
        found.append((time.perf_counter() - start) * 1e3)
    return found


def _copies(
    inputs: List[Any], on_device: List[Any], computed: List[Any], device: str, synchronize: Callable[[], None]
) -> Dict[str, float]:
    """Milliseconds (the median of five) to bring the inputs in and the outputs back."""
    into = _timed(lambda: [tensor.to(device) for tensor in inputs], synchronize, 1, 5)
    out = _timed(lambda: [tensor.to("cpu") for tensor in computed], synchronize, 1, 5)
    return {"host_to_device": sorted(into)[2], "device_to_host": sorted(out)[2]}


def _profiled(torch_npu: Any, call: Callable[[], Any], options: argparse.Namespace) -> str:
    """Runs the steps under torch_npu's profiler and gives the folder it wrote. Level1 is needed for op_statistic and
    the counters of the pipes; the first step is skipped and one warms up, so that compilation is not in the profile."""
    profiler = torch_npu.profiler
    configuration = profiler._ExperimentalConfig(
        profiler_level=profiler.ProfilerLevel.Level1,
        aic_metrics=profiler.AiCMetrics.PipeUtilization,
        export_type=[profiler.ExportType.Text],
        data_simplification=False,
    )
    before = set(_captures(options.prof))
    with profiler.profile(
        activities=[profiler.ProfilerActivity.CPU, profiler.ProfilerActivity.NPU],
        schedule=profiler.schedule(wait=0, warmup=1, active=options.steps, repeat=1, skip_first=1),
        on_trace_ready=profiler.tensorboard_trace_handler(str(options.prof)),
        record_shapes=True,
        profile_memory=True,
        with_stack=False,
        experimental_config=configuration,
    ) as running:
        for _ in range(options.steps + 2):
            call()
            torch_npu.npu.synchronize()
            running.step()
    made = sorted(set(_captures(options.prof)) - before)
    if not made:
        raise Failure("The profiler wrote nothing in %s." % options.prof, "Look at its messages above.", 4)
    return str(made[-1])


def _captures(folder: str) -> List[Path]:
    return list(Path(folder).glob("*_ascend_pt"))


def _compare(torch: Any, index: int, expected: Any, computed: Any) -> Dict[str, Any]:
    """Cosine and largest difference in double precision; a NaN or an infinity on one side only is a cosine of 0."""
    a, b = expected.detach().cpu().double().flatten(), computed.detach().cpu().double().flatten()
    if a.shape != b.shape or not bool(torch.equal(torch.isfinite(a), torch.isfinite(b))):
        return {"output": index, "shape": list(expected.shape), "cosine": 0.0, "max_abs": None}
    kept = torch.isfinite(a)
    a, b = a[kept], b[kept]
    lengths = float(a.norm() * b.norm())
    cosine = float(torch.dot(a, b)) / lengths if lengths > 0 else float(bool(torch.equal(a, b)))
    largest = float((a - b).abs().max()) if a.numel() else 0.0
    return {"output": index, "shape": list(expected.shape), "cosine": cosine, "max_abs": largest}


def _leaves(torch: Any, result: Any) -> List[Any]:
    """The tensors of a result, however nested, in order."""
    if torch.is_tensor(result):
        return [result]
    if isinstance(result, dict):
        result = list(result.values())
    return [leaf for item in result for leaf in _leaves(torch, item)] if isinstance(result, (list, tuple)) else []


def _percentiles(latencies: List[float]) -> Dict[str, float]:
    ordered = sorted(latencies)

    def at(part: float) -> float:
        return ordered[min(len(ordered) - 1, round(part * (len(ordered) - 1)))]

    mean = sum(ordered) / len(ordered)
    return {
        "count": len(ordered),
        "mean": mean,
        "p50": at(0.5),
        "p95": at(0.95),
        "p99": at(0.99),
        "per_second": 1e3 / mean,
    }


def _device_name(torch_npu: Any) -> str:
    try:
        return str(torch_npu.npu.get_device_name(0))
    except Exception:  # noqa: BLE001 (the name is a courtesy)
        return "NPU"


def _summary(results: Dict[str, Any], out: str) -> str:
    latency = results["latency_ms"]
    worst = min((one["cosine"] for one in results["outputs"]), default=0.0)
    verdict = "agree" if results["agrees"] else "DIFFER"
    return "%s, %s: p50 %.3f ms, p95 %.3f ms; outputs %s with the CPU's (least cosine %.6f)\n%s%s" % (
        results["device"], results["precision"], latency["p50"], latency["p95"], verdict, worst, out,
        "\n%s" % results["profile"] if results["profile"] else "",
    )  # fmt: skip


def _options(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="profile_npu.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--settings", default=str(HERE / "settings.json"), help="what was exported (settings.json)")
    parser.add_argument("--model", default="", help="only this file of the model, .pt2 or .ts, in this folder")
    parser.add_argument("--inputs", default="", help="an .npz with one array for each input; else a fixed seed's")
    parser.add_argument("--device", default="npu:0")
    parser.add_argument("--precision", choices=("fp32", "fp16", "bf16"), default="fp32")
    parser.add_argument("--warmup", type=_positive, default=10, help="calls before timing")
    parser.add_argument("--iterations", type=_positive, default=50, help="calls timed")
    parser.add_argument("--steps", type=_positive, default=3, help="steps profiled")
    parser.add_argument("--no-profile", action="store_true", help="time and compare only")
    parser.add_argument("--prof", default="prof", help="the profiler's folder")
    parser.add_argument("--out", default="results.json")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 1000000:
        raise argparse.ArgumentTypeError("%s is not between 1 and 1000000" % text)
    return value


if __name__ == "__main__":
    sys.exit(main())
