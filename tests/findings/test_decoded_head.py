"""What the rule `decoded_head` must not mistake for boxes."""

from __future__ import annotations

from edgewright.core.facts import Facts
from edgewright.core.profile import Operator, Profile
from edgewright.findings.decoded_head import look


def test_a_transformers_wide_activations_are_no_list_of_boxes() -> None:
    operators = (
        Operator("ffn", "MatMul", 8000, outputs=((1, 128, 1536),), dtype="fp32"),
        Operator("gelu", "Gelu", 2000, outputs=((1, 128, 1536),), dtype="fp32"),
    )
    assert list(look(Profile("planted", "planted", "fp32", 10_000, operators), Facts("planted", "planted"))) == []
