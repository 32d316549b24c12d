import pytest
import torch

from loopyvq.tokens import CONTINUE, PAD, Tokens

CODES = torch.tensor([[[3, CONTINUE, 0], [PAD, PAD, PAD]]])
LENGTHS = torch.tensor([[3, 0]])


def test_valid_tokens_pass_and_are_returned():
    tokens = Tokens(CODES, LENGTHS)
    assert tokens.validate(4) is tokens
    assert tokens.num_tokens == 3
    assert tokens.max_depth == 3


@pytest.mark.parametrize(
    ("codes", "lengths", "message"),
    [
        (CODES, torch.tensor([3, 0]), "one axis more"),
        (CODES, torch.tensor([[4, 0]]), "within 0..3"),
        (CODES, torch.tensor([[-1, 0]]), "within 0..3"),
        (CODES, torch.tensor([[2, 0]]), "PAD"),
        (CODES.clamp(min=-1), LENGTHS, "PAD"),
        (torch.where(CODES == 3, 4, CODES), LENGTHS, "0..3"),
        (torch.where(CODES == 3, -3, CODES), LENGTHS, "0..3"),
    ],
)
def test_invalid_tokens_say_what_must_hold(codes, lengths, message):
    with pytest.raises(ValueError, match=message):
        Tokens(codes, lengths).validate(4)


def test_prefix_drops_the_tail_and_stays_valid():
    tokens = Tokens(CODES, LENGTHS)
    assert tokens.prefix(0).num_tokens == 0
    assert tokens.prefix(2).validate(4).lengths.tolist() == [[2, 0]]
    assert torch.equal(tokens.prefix(9).codes, CODES)
    with pytest.raises(ValueError, match="0 or more"):
        tokens.prefix(-1)


@pytest.mark.parametrize(("kind", "size"), [(torch.int16, 1 << 15), (torch.int8, 256)])
def test_narrow_codes_are_compared_with_any_codebook(kind, size):
    last = torch.iinfo(kind).max
    tokens = Tokens(torch.tensor([[last, CONTINUE, PAD]], dtype=kind), torch.tensor([2]))
    assert tokens.validate(size) is tokens
    with pytest.raises(ValueError, match="codes must be"):
        tokens.validate(last)


def test_both_tensors_move_together():
    moved = Tokens(CODES, LENGTHS).to("meta")
    assert (moved.codes.device.type, moved.lengths.device.type) == ("meta", "meta")
