from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from loopyvq.data.boxes import BoxConfig, box_in_steps, boxes_of, pieces_of
from loopyvq.errors import ConfigError

EVERY = BoxConfig(num_boxes=9, bins=16, min_share=0.0)


@st.composite
def things(draw):
    """Rectangles that do not touch: class, top, left, bottom, right, ends included, of 16 x 16."""
    found = []
    for row in range(3):
        for column in range(3):
            height, width = draw(st.integers(0, 4)), draw(st.integers(0, 4))
            if height and width:
                top = 1 + 5 * row + draw(st.integers(0, 4 - height))
                left = 1 + 5 * column + draw(st.integers(0, 4 - width))
                label = draw(st.integers(1, 11))
                found.append((label, top, left, top + height - 1, left + width - 1))
    return found


@given(things(), st.integers(1, 4))
def test_the_boxes_of_a_drawn_map_are_exact(drawn, scale):
    assume(drawn)
    labels = torch.zeros(16, 16, dtype=torch.uint8)
    for label, top, left, bottom, right in drawn:
        labels[top : bottom + 1, left : right + 1] = label
    labels = labels.repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    background, *others = boxes_of(labels, BoxConfig(10, 16, min_share=0.0)).tolist()
    assert background == [0, 0, 0, 15, 15]
    found = [tuple(box) for box in others if box[0] >= 0]
    assert sorted(found) == sorted(drawn)
    areas = [(bottom - top + 1) * (right - left + 1) for _, top, left, bottom, right in found]
    assert areas == sorted(areas, reverse=True)
    assert all(box == [-1, 0, 0, 0, 0] for box in others[len(found) :])


@given(arrays.arrays(np.uint8, st.tuples(*[st.integers(1, 9)] * 2), elements=st.integers(0, 2)))
def test_a_mirrored_map_has_mirrored_boxes(values):
    bins = values.shape[1]
    config = BoxConfig(num_boxes=81, bins=bins, min_share=0.0)
    labels = torch.from_numpy(values)
    found, mirrored = boxes_of(labels, config), boxes_of(labels.flip(1), config)
    found = found[found[:, 0] >= 0]
    mirrored = mirrored[mirrored[:, 0] >= 0]
    back = mirrored.clone()
    back[:, 2], back[:, 4] = bins - 1 - mirrored[:, 4], bins - 1 - mirrored[:, 2]
    assert sorted(back.tolist()) == sorted(found.tolist())


@given(arrays.arrays(np.uint8, st.tuples(*[st.integers(1, 12)] * 2), elements=st.integers(0, 2)))
def test_pieces_are_those_of_scikit_image(values):
    measure = pytest.importorskip("skimage.measure")
    theirs = measure.label(values, background=-1, connectivity=1)
    _, first, place = np.unique(theirs, return_index=True, return_inverse=True)
    assert np.array_equal(pieces_of(values), first[place].reshape(values.shape))


def test_only_the_largest_and_none_too_small_or_too_large():
    labels = torch.zeros(10, 10, dtype=torch.int64)
    labels[1:4, 1:4] = 2
    labels[5:7, 5:9] = 1
    labels[9, 9] = 3
    every = boxes_of(labels, BoxConfig(5, 10, min_share=0.0))
    assert every[:, 0].tolist() == [0, 2, 1, 3, -1]
    assert boxes_of(labels, BoxConfig(2, 10)).tolist() == every[:2].tolist()
    middle = boxes_of(labels, BoxConfig(4, 10, min_share=0.05, max_share=0.5))
    assert middle[:, 0].tolist() == [2, 1, -1, -1]
    assert middle[0].tolist() == [2, 1, 1, 3, 3]


@pytest.mark.parametrize("side", [1, 3, 7, 16, 50])
def test_sides_stay_within_their_steps(side):
    whole = boxes_of(torch.zeros(side, 2 * side, dtype=torch.uint8), EVERY)
    assert whole[0].tolist() == [0, 0, 0, 15, 15]
    corner = torch.zeros(side, side, dtype=torch.uint8)
    corner[-1, -1] = 1
    last = boxes_of(corner, EVERY).tolist()[min(1, side - 1)]
    first_step = 16 * (side - 1) // side
    assert last == [1, first_step, first_step, 15, 15]


def test_sides_between_steps_touch_no_further_one():
    tenths = tuple(Fraction(n, 10) for n in (3, 1, 7, 3))
    assert box_in_steps(tenths, 10) == (3, 1, 6, 2)
    assert box_in_steps(tenths, 5) == (1, 0, 3, 1)
    assert box_in_steps(tenths, 1) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_boxes": 0}, "num_boxes must be at least 1"),
        ({"bins": 0}, "bins must be at least 1"),
        ({"min_share": -0.1}, "within 0..1"),
        ({"min_share": 0.5, "max_share": 0.2}, "in this order"),
        ({"max_share": 1.5}, "within 0..1"),
        ({"min_share": float("nan")}, "within 0..1"),
    ],
)
def test_ranges(changes, message):
    with pytest.raises(ConfigError, match=message):
        BoxConfig(**changes)
