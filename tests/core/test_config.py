"""The configuration: what is refused, in which words, before any work."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from edgewright.core import config
from edgewright.core.errors import ConfigError

SMALLEST = {"model": {"source": "m.onnx"}}


def _read(tmp_path: Path, text: str) -> config.Config:
    path = tmp_path / "edgewright.yaml"
    path.write_text(textwrap.dedent(text))
    return config.read(path)


def test_a_model_alone_is_a_configuration() -> None:
    parsed = config.parse(SMALLEST)
    assert parsed.task.kind == "auto"
    assert [t.name for t in parsed.targets] == ["local"]


def test_short_forms_mean_the_long_ones() -> None:
    short = config.parse(
        {"model": "m.onnx", "task": "tensors", "data": {"calibration": "a", "validation": {"from": "b"}}}
    )
    long = config.parse(
        {
            "model": {"source": "m.onnx"},
            "task": {"kind": "tensors"},
            "data": {"calibration": {"path": "a"}, "validation": {"path": "b"}},
        }
    )
    assert short == long


def test_variables_come_from_the_environment_or_their_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EW_MODELS", "/models")
    monkeypatch.delenv("EW_PORT", raising=False)
    parsed = config.parse({"model": "${EW_MODELS}/m.onnx", "serve": {"port": "${EW_PORT:-9000}"}})
    assert parsed.model.source == "/models/m.onnx"
    assert parsed.serve.port == 9000
    with pytest.raises(ConfigError, match="EW_PORT"):
        config.parse({"model": "${EW_PORT}"})


@pytest.mark.parametrize(
    ("change", "message", "remedy"),
    [
        ({"modle": 1}, "unknown key 'modle'", "'model'"),
        ({"goal": {"optimize": "latency"}}, "unknown key 'goal.optimize'", "'optimise'"),
        ({"targets": [{"familly": "openvino"}]}, "unknown key 'targets.0.familly'", "'family'"),
        ({"data": {"validation": {"path": "a", "splitt": "val"}}}, "unknown key 'data.validation.splitt'", "'split'"),
        ({"goal": {"optimise": "speed"}}, "goal.optimise: 'speed' should be 'latency'", "Known: latency"),
        ({"goal": {"optimise": "latencyy"}}, "goal.optimise", "Did you mean 'latency'?"),
        ({"targets": [{"precision": ["int8", "fp61"]}]}, "targets.0.precision.1: 'fp61'", "'fp16'"),
        ({"targets": [{"precision": []}]}, "precision is empty", ""),
        ({"targets": []}, "targets is empty", ""),
        ({"targets": [{"name": "a"}, {"name": "a"}]}, "same name", ""),
        ({"targets": [{"name": "../x"}]}, "targets.0.name", ""),
        ({"targets": [{"family": "opnvino"}]}, "no target family 'opnvino'", "'openvino'"),
        ({"goal": {"latency_p95_ms": -3}}, "goal.latency_p95_ms: -3 should be greater than 0", ""),
        ({"goal": {"latency_p95_ms": float("nan")}}, "goal.latency_p95_ms", ""),
        ({"goal": {"latency_p95_ms": float("inf")}}, "goal.latency_p95_ms", ""),
        ({"goal": {"max_drop": {"map50": 101}}}, "0 to 100 points", ""),
        ({"goal": {"max_drop": {"map50": -1}}}, "0 to 100 points", ""),
        ({"goal": {"max_drop": {"map50": 1, "top1": 1}}}, "contradicts itself", ""),
        ({"goal": {"max_drop": {"map50": "much"}}}, "goal.max_drop.map50: 'much'", ""),
        (
            {"goal": {"max_drop": {"map50_95": 1}}, "data": {"validation": {"path": "a", "labels": "none"}}},
            "contradicts data.validation.labels",
            "",
        ),
        ({"serve": {"port": 99999}}, "serve.port: 99999", ""),
        ({"serve": {"port": 8080}, "targets": [{"name": "a"}, {"name": "b"}]}, "cannot share a port", ""),
        ({"watch": {"incidents": {"latency": 1}}}, "'latency' is unknown", "latency_p95_ms"),
        ({"task": {"labels": {"0": "a"}}}, "task.labels", ""),
        ({"model": {}}, "'model.source' is missing", ""),
        ({"model": None}, "model", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_a_remedy(change: dict, message: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse({**SMALLEST, **change}, "edgewright.yaml")
    assert message in caught.value.message
    assert remedy in str(caught.value)
    assert caught.value.message.startswith("edgewright.yaml: ")
    assert "\n" not in str(caught.value)


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'goal.max_drop.map50' is given twice \(again in line 5\)"):
        _read(
            tmp_path,
            """\
            model: m.onnx
            goal:
              max_drop:
                map50: 0.5
                map50: 5
            """,
        )


@pytest.mark.parametrize(
    "text",
    ["", "just text", "- a\n- b\n", "model: [", "model: {a: b: c}", "\x00", "model: !!python/object:os.system x"],
)
def test_a_file_that_is_no_configuration_is_refused_in_words(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        _read(tmp_path, text)


def test_a_file_that_unfolds_into_millions_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(ConfigError, match="unfolds"):
        _read(tmp_path, "\n".join(lines))


def test_a_file_that_contains_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        _read(tmp_path, "model: &a\n  source: *a\n")


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="edgewright init"):
        config.read(tmp_path / "none.yaml")


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(list(config.Config.model_fields)) | st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(_json)
def test_any_data_is_a_configuration_or_a_clear_error(data: object) -> None:
    try:
        config.parse(data)
    except ConfigError as error:
        assert error.message and error.remedy


@given(st.text(max_size=60))
def test_any_text_is_a_configuration_or_a_clear_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("config") / "c.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ConfigError):
        config.read(path)


def test_the_dumped_configuration_reads_back_the_same() -> None:
    parsed = config.parse(
        {**SMALLEST, "goal": {"max_drop": {"top1": 0.5}}, "targets": [{"precision": ["int8", "fp32"]}]}
    )
    assert config.parse(yaml.safe_load(yaml.safe_dump(parsed.model_dump(mode="json")))) == parsed
