"""OpenVINO on the CPU. `MEMBER` is the target; nothing heavy is imported until it is used."""

from edgewright.targets.openvino.target import OpenVino

MEMBER = OpenVino()
