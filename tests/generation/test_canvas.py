import pytest
import torch

from loopyvq.generation.canvas import Canvas
from loopyvq.models.prior.base import Request
from loopyvq.tokens import PAD, Tokens

LEFT = (slice(0, 2), slice(0, 2))


def filled(height: int, width: int, code: int) -> Tokens:
    codes = torch.full((1, height, width, 2), code)
    return Tokens(codes, torch.full((1, height, width), 2))


def test_windows_write_only_where_nothing_is_yet():
    canvas = Canvas(Request((2, 3), 1))
    canvas.paste(LEFT, filled(2, 2, 1))
    canvas.finish(LEFT)
    canvas.paste((slice(0, 2), slice(1, 3)), filled(2, 2, 4))
    assert canvas.tokens.codes[0, 0, :, 0].tolist() == [1, 1, 4]
    assert canvas.num_done == 4


def test_what_is_known_but_not_kept_is_forgotten():
    mask = torch.tensor([[[True, False, True]]])
    canvas = Canvas(Request((1, 3), 1, known=filled(1, 3, 2), mask=mask))
    assert canvas.tokens.lengths.tolist() == [[[2, 0, 2]]]
    assert canvas.tokens.codes[0, 0, 1].tolist() == [PAD, PAD]
    known, kept = canvas.cut((slice(0, 1), slice(1, 3)))
    assert kept.tolist() == [[[False, True]]]
    assert known.lengths.tolist() == [[[0, 2]]]
    assert canvas.cut((slice(0, 1), slice(1, 2))) == (None, None)


def test_what_does_not_fit():
    with pytest.raises(ValueError, match="go together"):
        Canvas(Request((1, 3), 1, known=filled(1, 3, 2)))
    with pytest.raises(ValueError, match=r"must have sites \(1, 2, 3\), got \(1, 1, 3\)"):
        Canvas(Request((2, 3), 1, known=filled(1, 3, 2), mask=torch.ones(1, 2, 3).bool()))
    with pytest.raises(ValueError, match="no tokens"):
        _ = Canvas(Request((2, 3), 1)).tokens
