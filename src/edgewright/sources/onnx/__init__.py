"""ONNX files; see README.md."""

from edgewright.sources.onnx.source import OnnxSource

MEMBER = OnnxSource()
