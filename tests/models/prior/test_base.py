import pytest
import torch

from loopyvq.conditions import Condition
from loopyvq.models.prior.base import Request, TokenNats
from loopyvq.tokens import PAD, Tokens

CPU = torch.device("cpu")


def test_total_is_both_parts():
    nats = TokenNats(torch.ones(1, 2, 2), torch.full((1, 2, 2), 0.5))
    assert torch.equal(nats.total, torch.full((1, 2, 2), 1.5))


def test_an_empty_canvas_knows_nothing():
    tokens, mask = Request((2, 3), 4).canvas(5, CPU)
    assert tokens.validate(1).codes.shape == (4, 2, 3, 5)
    assert not bool(mask.any())


def test_a_canvas_keeps_what_the_mask_says_and_nothing_else():
    known = Tokens(torch.tensor([[[[1, 2], [0, PAD]]]]), torch.tensor([[[2, 1]]]))
    mask = torch.tensor([[[True, False]]])
    tokens, kept = Request((1, 2), 1, None, known, mask).canvas(2, CPU)
    assert tokens.codes.tolist() == [[[[1, 2], [PAD, PAD]]]]
    assert tokens.lengths.tolist() == [[[2, 0]]]
    assert torch.equal(kept, mask)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request((0, 1), 1), "at least 1"),
        (Request((1, 1), 2, Condition(classes=torch.tensor([0]))), "of 1 images, expected 2"),
        (Request((1, 1), 1, mask=torch.ones(1, 1, 1, dtype=torch.bool)), "go together"),
        (
            Request(
                (1, 1),
                1,
                None,
                Tokens(torch.zeros(1, 1, 2, 2, dtype=torch.int64), torch.zeros(1, 1, 2).long()),
                torch.ones(1, 1, 1, dtype=torch.bool),
            ),
            r"must have sites \(1, 1, 1\)",
        ),
        (
            Request(
                (1, 1),
                1,
                None,
                Tokens(torch.zeros(1, 1, 1, 3, dtype=torch.int64), torch.zeros(1, 1, 1).long()),
                torch.ones(1, 1, 1, dtype=torch.bool),
            ),
            "depth 3, this prior has 2",
        ),
    ],
)
def test_what_does_not_fit_is_refused(request_, message):
    with pytest.raises(ValueError, match=message):
        request_.canvas(2, CPU)
