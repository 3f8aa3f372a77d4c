"""The configuration: one YAML file. Unknown keys are refused with a suggestion; paths are relative
to the file; `${NAME:-default}` in a string is replaced from the environment before anything else.

docs/configuration.md is generated from this schema (`edgewright schema --markdown`) and a test keeps it so.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from edgewright.core.errors import ConfigError
from edgewright.core.plugs import Room, did_you_mean
from edgewright.core.recipe import PRECISIONS

Precision = Literal["int8", "mixed", "fp16", "bf16", "fp32"]

LABELLED_METRICS = ("map50_95", "map50", "top1", "top5")
"""Metrics that nobody can compute without labels; agreement, cosine and the like need none."""

MAX_BYTES = 1 << 20
MAX_NODES = 20_000


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, allow_inf_nan=False)


def _alone(key: str) -> BeforeValidator:
    """Lets `section: text` stand for `section: {key: text}`."""
    return BeforeValidator(lambda value: {key: value} if isinstance(value, str) else value)


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

    @model_validator(mode="before")
    @classmethod
    def _from(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"path": value}
        if isinstance(value, dict) and "from" in value and "path" not in value:
            return {"path": value["from"], **{k: v for k, v in value.items() if k != "from"}}
        return value


class DataConfig(_Section):
    """Calibration needs no labels; validation does, or the gate is agreement with the float model."""

    calibration: DataSource | None = Field(None, description="Samples to calibrate INT8 on. A path alone will do.")
    validation: DataSource | None = Field(None, description="Samples to check accuracy on. A path alone will do.")
    prepare: str | None = Field(
        None, description="`file.py:function` that makes the data if absent; called with the folder."
    )
    folder: str | None = Field(None, description="The folder that `prepare` fills.")


class GoalConfig(_Section):
    """The promises to keep and what to optimise for. Drops are points of 100 against the float model."""

    optimise: Literal["latency", "throughput", "accuracy", "size", "memory"] = Field(
        "latency", description="What the best candidate is best at, among those that keep every promise."
    )
    max_drop: dict[str, float] = Field(
        default_factory=dict, description="Metric name → points of 100, as `{map50_95: 0.5}`."
    )
    latency_p95_ms: float | None = Field(None, gt=0, description="End to end, at most, 95 times of 100.")
    throughput: float | None = Field(None, gt=0, description="Inferences a second, at least.")
    size_mb: float | None = Field(None, gt=0, description="The artefact's files, at most, in MiB.")
    memory_mb: float | None = Field(None, gt=0, description="The serving process's peak, at most, in MiB.")
    undecided: Literal["accept", "fallback"] = Field(
        "accept", description="What to do when the samples are too few to decide and the point estimate keeps the goal."
    )

    @model_validator(mode="after")
    def _consistent(self) -> GoalConfig:
        for metric, points in self.max_drop.items():
            if not 0 <= points <= 100:
                raise ValueError(f"max_drop.{metric} is {points:g}: a drop is 0 to 100 points")
        return self


class TargetConfig(_Section):
    """One device and the runtime family to use on it."""

    name: str = Field(
        "local", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", description="Your name for it; letters, digits, ._-"
    )
    family: str = Field("openvino", description="A member of the targets room.")
    device: str = Field("local", description="`local`, or an address such as ssh://user@host.")
    board: str | None = Field(None, description="A row of facts of the family, where it has boards.")
    precision: list[Precision] | None = Field(None, description="Rungs of the ladder allowed; fp32 always is.")
    root: str | None = Field(None, description="Where releases live on the device.")
    options: dict[str, Any] = Field(default_factory=dict, description="Settings of the family (threads, streams, …).")

    @property
    def settings(self) -> dict[str, Any]:
        """What the family is told: its options, and the board where one is named."""
        return {**self.options, **({"board": self.board} if self.board else {})}

    @field_validator("precision")
    @classmethod
    def _known(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and not value:
            raise ValueError(f"precision is empty; give some of {', '.join(PRECISIONS)} or leave it out")
        return value


class ServeConfig(_Section):
    """The service on the device."""

    source: str | None = Field(None, description="camera:0, a folder, a video file or rtsp://…; none = HTTP only.")
    host: str = Field("127.0.0.1", description="The address the service binds to; the default is this machine only.")
    port: int | None = Field(None, ge=1, le=65535, description="None = the first free one from 8080 on.")
    engine: Literal["python", "cpp"] = Field(
        "python", description="What predicts: the Python that was checked, or a C++ program built from its data."
    )
    manager: Literal["auto", "supervisor"] = Field(
        "auto",
        description="Who keeps it alive: systemd where the device has it (never for `local`), or our supervisor alone.",
    )
    bake_s: float = Field(
        1, ge=0, le=86400, description="Seconds a new release must last and keep its limits, or the one before returns."
    )
    tries: int = Field(
        3, ge=1, le=100, description="Starts in a row that may fail before the device itself goes back to `previous`."
    )
    watchdog_s: float = Field(
        60, ge=1, le=3600, description="Seconds that one inference may take before the service is started again."
    )
    wheels: bool = Field(
        False, description="Carry the runtime's packages in the bundle: the device needs no pip and no internet."
    )


class WatchConfig(_Section):
    """How the service is watched."""

    interval_s: float = Field(10, gt=0, description="Seconds that one reading covers.")
    for_s: float = Field(3, ge=0, description="How long `run` watches before it returns.")
    incidents: dict[str, float] = Field(
        default_factory=dict,
        description="Limits that make an incident when broken: latency_p95_ms, error_rate, memory_mb, drift_psi.",
    )

    @field_validator("incidents")
    @classmethod
    def _promises(cls, value: dict[str, float]) -> dict[str, float]:
        known = ("latency_p95_ms", "error_rate", "memory_mb", "drift_psi")
        for name in value:
            if name not in known:
                raise ValueError(f"'{name}' is unknown. {did_you_mean(name, known).rstrip('.')}")
            if value[name] < 0:
                raise ValueError(f"{name} is {value[name]:g}: a limit is not negative")
        return value


class ProfileConfig(_Section):
    """Where `edgewright profile` profiles the PyTorch model, if not here: a training machine with torch_npu."""

    device: str | None = Field(
        None,
        description="An address such as ssh://user@host. The script goes there, runs, and its profile is imported.",
    )
    python: str | None = Field(
        None, description="The Python there that has torch and torch_npu; else the device's own."
    )


class SignConfig(_Section):
    """Who vouches for the releases. Without a key they are unsigned, and a device that knows signers refuses them."""

    key: str | None = Field(None, description="A private Ed25519 key in OpenSSH format (`ssh-keygen -t ed25519`).")
    number: int | None = Field(
        None, ge=1, lt=1 << 53, description="Devices take only greater ones than they had; none = seconds since 1970."
    )
    days: int | None = Field(None, ge=1, le=36500, description="Days after which no device lets the release in.")


class Config(_Section):
    """edgewright.yaml"""

    model: Annotated[ModelConfig, _alone("source")]
    task: Annotated[TaskConfig, _alone("kind")] = TaskConfig()
    data: DataConfig = DataConfig()
    goal: GoalConfig = GoalConfig()
    targets: list[TargetConfig] = Field(default_factory=lambda: [TargetConfig()])
    serve: ServeConfig = ServeConfig()
    watch: WatchConfig = WatchConfig()
    sign: SignConfig = SignConfig()
    profile: Annotated[ProfileConfig, _alone("device")] = ProfileConfig()

    @model_validator(mode="after")
    def _distinct(self) -> Config:
        names = [t.name for t in self.targets]
        if not names:
            raise ValueError("targets is empty: name at least one")
        if len(set(names)) != len(names):
            raise ValueError("two targets have the same name")
        devices = [t.device for t in self.targets]
        if self.serve.port and len(set(devices)) != len(devices):
            raise ValueError(f"serve.port is {self.serve.port}, and two targets on one device cannot share a port")
        return self

    @model_validator(mode="after")
    def _promises_agree(self) -> Config:
        """Promises that no release could keep together. (Whether the task has the metric: once it is loaded.)"""
        wanted = [m for m in self.goal.max_drop if m in LABELLED_METRICS]
        if wanted and self.data.validation and self.data.validation.labels == "none":
            raise ValueError(
                f"goal.max_drop.{wanted[0]} contradicts data.validation.labels: none; that metric needs labels"
            )
        if any(m.startswith("map") for m in wanted) and any(m.startswith("top") for m in wanted):
            raise ValueError("goal.max_drop contradicts itself: no task has both mAP and top-k accuracy")
        return self


def parse(data: Any, where: str = "the configuration", *, members: bool = True) -> Config:
    """A checked Config. Every problem is a ConfigError that names the key and, if unknown, the nearest.

    `members` also checks that the target families and the task exist in this installation.
    """
    if not isinstance(data, dict):
        raise ConfigError(f"{where} is not a mapping of keys.", "See docs/configuration.md for the format.")
    try:
        config = Config.model_validate(expand(data))
    except ValidationError as error:
        raise _explained(error, where) from None
    if members:
        _check_members(config, where)
    return config


def read(path: Path) -> Config:
    """The configuration in a YAML file, with its paths still as written (they are relative to the file)."""
    import yaml

    try:
        if path.is_dir():
            raise ConfigError(f"{path} is a folder, not a configuration.", "Name the YAML file in it.")
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path} is over 1 MiB.", "A configuration is a short YAML file.")
        text = path.read_text(encoding="utf-8")
        _refuse_twice(yaml.compose(text, Loader=yaml.SafeLoader), str(path), "", [0])
        return parse(yaml.safe_load(text), str(path))
    except FileNotFoundError:
        raise ConfigError(f"There is no file {path}.", "Make one with `edgewright init MODEL`.") from None
    except RecursionError:
        raise ConfigError(f"{path} refers to itself.", "Write it without anchors that contain themselves.") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigError(f"{path} is not YAML, in line {line}: {error.problem}.", "Mend that line.") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{path} cannot be read as YAML: {' '.join(str(error).split())}.", "Mend that line."
        ) from None


def _refuse_twice(node: Any, where: str, path: str, visits: list[int]) -> None:
    """YAML lets a later key silently replace an earlier one of the same name; a promise must not vanish so.
    `visits` bounds anchors that unfold into more than anyone wrote."""
    import yaml

    visits[0] += 1
    if visits[0] > MAX_NODES:
        raise ConfigError(f"{where} unfolds to over {MAX_NODES} values.", "Write it without nested anchors.")
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _refuse_twice(item, where, f"{path}{index}.", visits)
    elif isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen and isinstance(key, yaml.ScalarNode):
                raise ConfigError(
                    f"{where}: '{path}{key.value}' is given twice (again in line {key.start_mark.line + 1}).",
                    "Keep one of the two.",
                )
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
            _refuse_twice(value, where, f"{path}{getattr(key, 'value', '')}.", visits)


def _check_members(config: Config, where: str) -> None:
    """Fails on an unknown family or task before any work. Rooms are listed, nothing is imported."""
    families: Room[Any] = Room("targets", "target family")
    asked = [(f"targets.{t.name}.family", families, t.family) for t in config.targets]
    if config.task.kind != "auto":
        asked.append(("task.kind", Room("tasks", "task"), config.task.kind))
    if config.model.format:
        asked.append(("model.format", Room("sources", "source"), config.model.format))
    for key, room, name in asked:
        known = room.names()
        if known and name not in known:
            raise ConfigError(f"{where}: {key}: there is no {room.noun} '{name}'.", did_you_mean(name, known))


def _explained(error: ValidationError, where: str) -> ConfigError:
    """The first problem in plain words. A union's several complaints about one value are told as one."""
    problems = error.errors()
    first = problems[0]
    loc, section = _keys(first["loc"])
    path = ".".join(str(part) for part in loc)
    if first["type"] == "extra_forbidden":
        return ConfigError(f"{where}: unknown key '{path}'.", did_you_mean(str(loc[-1]), tuple(section.model_fields)))
    if first["type"] == "missing":
        return ConfigError(f"{where}: '{path}' is missing.", "See docs/configuration.md for this key.")
    if first["type"] == "value_error":
        reason = str(first["msg"]).removeprefix("Value error, ")
        return ConfigError(f"{where}: {path + ': ' if path else ''}{reason}.", "Change one of them, or leave it out.")
    same = [p for p in problems if _keys(p["loc"])[0] == loc]
    wanted = " or ".join(dict.fromkeys(str(p["msg"]).removeprefix("Input should ") for p in same))
    given = repr(first["input"])
    remedy = "See docs/configuration.md for this key."
    if first["type"] == "literal_error":
        remedy = did_you_mean(str(first["input"]), tuple(re.findall(r"'([^']+)'", str(first["msg"]))))
    return ConfigError(f"{where}: {path}: {given[:80]} should {wanted}.", remedy)


def _keys(location: tuple[int | str, ...]) -> tuple[tuple[int | str, ...], type[BaseModel]]:
    """The part of a pydantic location that the user wrote, and the section its last key belongs to."""
    section: type[BaseModel] = Config
    kept: list[int | str] = []
    for number, part in enumerate(location):
        kept.append(part)
        if isinstance(part, int) or number == len(location) - 1:
            continue
        if part not in section.model_fields:
            break
        inner = _models(section.model_fields[part].annotation)
        if not inner:
            following = location[number + 1]
            index = isinstance(following, int)
            named = _is_mapping(section.model_fields[part].annotation)
            return (*kept, following) if index or named else tuple(kept), section
        section = inner[0]
    return tuple(kept), section


def _is_mapping(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is dict


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for arg in getattr(annotation, "__args__", ()) for m in _models(arg)]


def expand(value: Any) -> Any:
    """`${NAME}` and `${NAME:-default}` in every string, by the environment. ConfigError where a name is not set."""
    if isinstance(value, str):
        return re.sub(r"\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}", _variable, value)
    if isinstance(value, dict):
        return {key: expand(item) for key, item in value.items()}
    if isinstance(value, list):
        return [expand(item) for item in value]
    return value


def _variable(match: re.Match[str]) -> str:
    name, default = match.group(1), match.group(2)
    found = os.environ.get(name) or default
    if found is None:
        raise ConfigError(f"The configuration uses ${{{name}}}, which is not set.", f"Set the variable {name}.")
    return found
