"""Boxes and letters on a picture."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.device import draw

GRAY = np.full((120, 160, 3), 90, np.uint8)


def test_a_box_is_framed_in_the_colour_of_its_class_and_named_above_it():
    out = draw.draw_boxes(GRAY, [[1, 0.9, 20, 40, 100, 100]], ["cat", "dog"])
    shade = draw.colour_of(1)
    assert (out[40, 90:100] == shade).all() and (out[50:100, 20] == shade).all() and (out[99, 20:100] == shade).all()
    assert (out[31:40, 20:30] != 90).all(axis=2).any()  # the name's patch
    assert (out[60:90, 40:80] == 90).all()
    assert (GRAY == 90).all()


def test_neighbouring_classes_have_clearly_different_colours():
    for kind in range(20):
        a, b = np.array(draw.colour_of(kind), int), np.array(draw.colour_of(kind + 1), int)
        assert np.abs(a - b).sum() > 100


def test_letters_differ_and_unknown_ones_are_question_marks():
    masks = {letter: draw._mask(letter, 1).tobytes() for letter in draw._ROWS}
    assert len(set(masks.values())) == len(masks)
    assert draw._mask("猫", 1).tobytes() == masks["?"]


@given(
    rows=st.lists(
        st.tuples(st.integers(-1, 90), st.floats(0, 1), *[st.floats(-1e4, 1e4, allow_nan=False) for _ in range(4)]).map(
            list
        ),
        max_size=4,
    ),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
@settings(max_examples=100, deadline=None)
def test_any_box_can_be_drawn_on_any_picture(rows, size):
    out = draw.draw_boxes(np.zeros((*size, 3), np.uint8), rows, ["a name that is wider than the picture"])
    assert out.shape == (*size, 3)


def test_lines_are_written_in_the_corner():
    out = draw.draw_lines(GRAY, ["CAT 0.90", "DOG 0.05"])
    assert (out[:20, :49] != 90).any() and (out[30:, 60:] == 90).all()
