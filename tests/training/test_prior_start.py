import torch

from loopyvq.conditions import Condition
from loopyvq.data.token_batch import PackedTokens
from loopyvq.tokens import CONTINUE, PAD, Tokens
from loopyvq.training import prior_start
from loopyvq.training.prior_start import count_symbols
from tests.training.prior_tokens import patterned_tokens


def test_symbols_are_counted_turn_by_turn():
    codes = torch.tensor([[[[0, CONTINUE], [PAD, PAD]]], [[[1, 1], [1, 0]]]])
    lengths = torch.tensor([[[2, 0]], [[2, 2]]])
    packed = PackedTokens.pack(Tokens(codes, lengths), Condition())
    everything = count_symbols(packed, torch.tensor([0, 1]), 2)
    # codes 0 and 1, CONTINUE, STOP
    assert everything.tolist() == [[1, 2, 0, 1], [1, 1, 1, 0]]
    assert count_symbols(packed, torch.tensor([1]), 2).tolist() == [[0, 2, 0, 0], [1, 1, 0, 0]]


def test_counts_of_parts_add_up(monkeypatch):
    packed = PackedTokens.pack(*patterned_tokens(20))
    rows = torch.arange(0, 20, 2)
    whole = count_symbols(packed, rows, 8)
    monkeypatch.setattr(prior_start, "_COUNTED_AT_ONCE", 3 * 9 * 3)
    assert torch.equal(count_symbols(packed, rows, 8), whole)
    assert int(whole[:, :-1].sum()) == packed.select(rows).tokens.num_tokens
