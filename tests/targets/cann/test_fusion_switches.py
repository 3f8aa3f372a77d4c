"""`fusion: off` in a configuration is YAML's false, and must reach atc as the vendor's word all the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from edgewright.core.errors import ConfigError
from edgewright.targets.cann.atc_settings import _fusion_switches
from edgewright.targets.cann.offers import _switches


def written(option: str) -> Any:
    return json.loads(_fusion_switches(_switches(yaml.safe_load(option))))["Switch"]


@pytest.mark.parametrize("option", ["off", "'off'", "false"])
def test_off_turns_every_pass_off_however_yaml_reads_it(option: str) -> None:
    assert written(option) == {"GraphFusion": {"ALL": "off"}, "UBFusion": {"ALL": "off"}}


def test_passes_by_name_keep_the_vendors_words() -> None:
    assert written("{SoftmaxFusionPass: off, ConvBatchnormFusionPass: on}") == {
        "GraphFusion": {"SoftmaxFusionPass": "off", "ConvBatchnormFusionPass": "on"}
    }


def test_on_is_no_switch_because_it_is_the_default() -> None:
    with pytest.raises(ConfigError, match="fusion is 'on'"):
        written("on")
