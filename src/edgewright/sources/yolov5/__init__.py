"""YOLOv5 checkpoints (v5.0–v7.0); see README.md."""

from edgewright.sources.yolov5.source import YoloV5Source

MEMBER = YoloV5Source()
