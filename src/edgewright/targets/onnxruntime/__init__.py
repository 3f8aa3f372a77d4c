"""ONNX Runtime on the CPU. `MEMBER` is the target; nothing heavy is imported until it is used."""

from edgewright.targets.onnxruntime.target import OnnxRuntime

MEMBER = OnnxRuntime()
