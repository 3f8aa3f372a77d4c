"""The configuration: one YAML file. Unknown keys are refused with a suggestion; paths are relative
to the file; `${NAME:-default}` in a string is replaced from the environment before anything else.

docs/configuration.md is generated from this schema (`edgewright schema --markdown`) and a test keeps it so.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from edgewright.core.errors import ConfigError
from edgewright.core.plugs import did_you_mean
from edgewright.core.recipe import PRECISIONS

Precision = Literal["int8", "mixed", "fp16", "bf16", "fp32"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelConfig(_Section):
    """The trained network."""

    source: str = Field(description="A file (.pt .pth .pt2 .ts .onnx), `module:factory`, or `package://dist/path`.")
    format: str = Field(
        "", description="Forces a source (yolov5, onnx, torch, null) where the file alone is not clear."
    )
    inputs: dict[str, tuple[int, ...]] = Field(default_factory=dict, description="Input shapes by name.")
    weights: str | None = Field(None, description="State dict or safetensors for `module:factory`.")
    opset: int = Field(17, ge=9, le=24, description="ONNX opset to write.")
    trust: bool = Field(False, description="Allow a file that runs code when read (pickle, TorchScript, module).")


class TaskConfig(_Section):
    """What is measured. Unset fields come from the model's own metadata."""

    kind: str = Field("auto", description="detection, classification, tensors, or auto.")
    labels: str | list[str] | None = Field(None, description="A names file (one a line), a data.yaml, or a list.")
    confidence: float = Field(0.25, ge=0, le=1, description="Serving threshold.")
    iou: float = Field(0.45, ge=0, le=1, description="Serving NMS threshold.")
    metric_confidence: float = Field(0.001, ge=0, le=1, description="Threshold for mAP.")
    metric_iou: float = Field(0.6, ge=0, le=1, description="NMS threshold for mAP.")
    max_detections: int = Field(100, ge=1, le=3000, description="Boxes kept per image.")
    preprocess: list[dict[str, Any]] | None = Field(None, description="Overrides the steps, as data.")
    postprocess: list[dict[str, Any]] | None = Field(None, description="Overrides the steps, as data.")


class DataSource(_Section):
    """Where samples come from: a folder, a list, COCO JSON, YOLO data.yaml, CSV."""

    path: str = Field(description="Folder, .txt list, .json (COCO), .yaml (Ultralytics), .csv.")
    labels: str | None = Field(
        None, description="Labels folder or file where it is not beside the images; `none` for no labels."
    )
    split: str | None = Field(None, description="train, val or test of a data.yaml.")
    count: int | None = Field(None, ge=1, description="Take a representative sample of this size.")
    seed: int = Field(0, description="Seed of the sample.")


class DataConfig(_Section):
    """Calibration needs no labels; validation does, or the gate is agreement with the float model."""

    calibration: DataSource | None = None
    validation: DataSource | None = None
    prepare: str | None = Field(
        None, description="`file.py:function` that makes the data if absent; called with the folder."
    )
    folder: str | None = Field(None, description="The folder that `prepare` fills.")

    @field_validator("calibration", "validation", mode="before")
    @classmethod
    def _path_alone(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"path": value}
        if isinstance(value, dict) and "from" in value:
            value = dict(value)
            value["path"] = value.pop("from")
        return value


class GoalConfig(_Section):
    """The promises to keep and what to optimise for. Drops are points of 100 against the float model."""

    optimise: Literal["latency", "throughput", "accuracy", "size", "memory"] = "latency"
    max_drop: dict[str, float] = Field(default_factory=dict, description="Metric name → points of 100.")
    latency_p95_ms: float | None = Field(None, gt=0)
    throughput: float | None = Field(None, gt=0, description="Inferences a second, at least.")
    size_mb: float | None = Field(None, gt=0)
    memory_mb: float | None = Field(None, gt=0)
    undecided: Literal["accept", "fallback"] = "accept"

    @model_validator(mode="after")
    def _consistent(self) -> GoalConfig:
        for metric, points in self.max_drop.items():
            if not 0 <= points <= 100:
                raise ValueError(f"max_drop.{metric} is {points}: a drop is 0 to 100 points")
        if self.latency_p95_ms and self.throughput and self.throughput * self.latency_p95_ms < 0:
            raise ValueError("throughput and latency_p95_ms contradict each other")
        return self


class TargetConfig(_Section):
    """One device and the runtime family to use on it."""

    name: str = Field("local", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    family: str = Field("openvino", description="A member of the targets room.")
    device: str = Field("local", description="`local`, or an address such as ssh://user@host.")
    board: str | None = None
    precision: list[Precision] | None = Field(None, description="Rungs of the ladder allowed; fp32 always is.")
    root: str | None = Field(None, description="Where releases live on the device.")
    options: dict[str, Any] = Field(default_factory=dict, description="Settings of the family (threads, streams, …).")

    @field_validator("precision")
    @classmethod
    def _known(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and not value:
            raise ValueError(f"precision is empty; give some of {', '.join(PRECISIONS)} or leave it out")
        return value


class ServeConfig(_Section):
    """The service on the device."""

    source: str | None = Field(None, description="camera:0, a folder, a video file or rtsp://…; none = HTTP only.")
    host: str = "127.0.0.1"
    port: int | None = Field(None, ge=1, le=65535, description="None = the first free one from 8080 on.")


class WatchConfig(_Section):
    """How the service is watched."""

    interval_s: float = Field(10, gt=0)
    for_s: float = Field(3, ge=0, description="How long `run` watches before it returns.")
    incidents: dict[str, float] = Field(
        default_factory=dict, description="latency_p95_ms, error_rate, memory_mb, drift_psi."
    )

    @field_validator("incidents")
    @classmethod
    def _promises(cls, value: dict[str, float]) -> dict[str, float]:
        known = ("latency_p95_ms", "error_rate", "memory_mb", "drift_psi")
        for name in value:
            if name not in known:
                raise ValueError(f"incidents.{name} is unknown. {did_you_mean(name, known)}")
        return value


class Config(_Section):
    """edgewright.yaml"""

    model: ModelConfig
    task: TaskConfig = TaskConfig()
    data: DataConfig = DataConfig()
    goal: GoalConfig = GoalConfig()
    targets: list[TargetConfig] = Field(default_factory=lambda: [TargetConfig()])
    serve: ServeConfig = ServeConfig()
    watch: WatchConfig = WatchConfig()

    @model_validator(mode="after")
    def _distinct(self) -> Config:
        names = [t.name for t in self.targets]
        if not names:
            raise ValueError("targets is empty: name at least one")
        if len(set(names)) != len(names):
            raise ValueError("two targets have the same name")
        return self


def parse(data: Any, where: str = "the configuration") -> Config:
    """A checked Config. Every problem is a ConfigError that names the key and, if unknown, the nearest."""
    if not isinstance(data, dict):
        raise ConfigError(f"{where} is not a mapping of keys.", "See docs/configuration.md for the format.")
    try:
        return Config.model_validate(_expand(data))
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"{where}: unknown key '{path}'.", _suggest(first["loc"])) from None
        reason = str(first["msg"]).removeprefix("Value error, ")
        raise ConfigError(f"{where}: {path or 'goal'}: {reason}.", "See docs/configuration.md for this key.") from None


def read(path: Path) -> Config:
    """The configuration in a YAML file, with its paths still as written (see `resolve`)."""
    import yaml

    try:
        if path.stat().st_size > 1 << 20:
            raise ConfigError(f"{path} is over 1 MiB.", "A configuration is a short YAML file.")
        return parse(yaml.safe_load(path.read_text(encoding="utf-8")), str(path))
    except FileNotFoundError:
        raise ConfigError(f"There is no file {path}.", "Make one with `edgewright init MODEL`.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{path} cannot be read as YAML: {' '.join(str(error).split())}.", "Mend that line."
        ) from None


def _suggest(location: tuple[int | str, ...]) -> str:
    section: Any = Config
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        annotation = section.model_fields[part].annotation if part in getattr(section, "model_fields", {}) else None
        section = next((a for a in _models(annotation)), section)
    return did_you_mean(str(location[-1]), tuple(section.model_fields))


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for arg in getattr(annotation, "__args__", ()) for m in _models(arg)]


def _expand(value: Any) -> Any:
    if isinstance(value, str):
        return re.sub(r"\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}", _variable, value)
    if isinstance(value, dict):
        return {key: _expand(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item) for item in value]
    return value


def _variable(match: re.Match[str]) -> str:
    name, default = match.group(1), match.group(2)
    found = os.environ.get(name) or default
    if found is None:
        raise ConfigError(f"The configuration uses ${{{name}}}, which is not set.", f"Set the variable {name}.")
    return found
