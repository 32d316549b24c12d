import pytest

from loopyvq.data import BoxConfig
from loopyvq.data.token_source import TokenSource
from loopyvq.errors import ConfigError
from loopyvq.generation.told_boxes import told_boxes

SOURCE = TokenSource(condition="boxes", box_classes=12, boxes=BoxConfig(num_boxes=2, bins=10))


def test_boxes_are_told_in_the_steps_of_the_training():
    boxes = told_boxes(SOURCE, ["3,0.3,0,0.7,1", "11,1/2,0.05,1,.5"], 2).boxes
    assert boxes.tolist() == [[[3, 3, 0, 6, 9], [11, 5, 0, 9, 4]]] * 2


def test_without_words_there_are_no_boxes():
    assert told_boxes(SOURCE, [], 3).boxes.tolist() == [[[-1, 0, 0, 0, 0]] * 2] * 3
    assert told_boxes(TokenSource(), [], 3).batch is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["3,0,0,1"], "a box is CLASS,TOP,LEFT,BOTTOM,RIGHT such as 3,0.2,0.1,0.9,0.4, got '3,0,"),
        (["window,0,0,1,1"], "a box is CLASS"),
        (["3,0,0,1/0,1"], "a box is CLASS"),
        (["12,0,0,1,1"], r"class of a box must be within 0..11, got '12,0,0,1,1'"),
        (["-1,0,0,1,1"], r"within 0..11"),
        (["3,0.5,0,0.5,1"], "top above bottom"),
        (["3,0,0,1,1.1"], "shares of the image"),
        (["3,0,nan,1,1"], "a box is CLASS"),
        (["3,0,0,1,1"] * 3, "knows up to 2 boxes, got 3"),
    ],
)
def test_words_that_are_no_boxes(words, message):
    with pytest.raises(ConfigError, match=message):
        told_boxes(SOURCE, words, 1)


def test_a_prior_without_boxes():
    with pytest.raises(ConfigError, match="trained without boxes: leave --box out"):
        told_boxes(TokenSource(), ["3,0,0,1,1"], 1)
