import torch

from loopyvq.models.prior.site_embedding import SiteEmbedding
from loopyvq.tokens import CONTINUE, PAD


def test_only_tokens_that_ran_count():
    embedding = SiteEmbedding(4, 3, 8)
    codes = torch.tensor([[1, 2, PAD], [1, 2, 3]])
    one, other = embedding(codes, torch.tensor([2, 2]))
    assert torch.equal(one, other)


def test_order_dummies_and_lengths_are_told_apart():
    embedding = SiteEmbedding(4, 3, 8)
    codes = torch.tensor([[1, 2, PAD], [2, 1, PAD], [1, CONTINUE, PAD], [1, PAD, PAD], [PAD] * 3])
    found = embedding(codes, torch.tensor([2, 2, 2, 1, 0]))
    assert len(found.unique(dim=0)) == 5


def test_it_begins_as_a_sum_with_falling_scales():
    embedding = SiteEmbedding(4, 3, 8)
    found = embedding(torch.tensor([1, 2, PAD]), torch.tensor(2))
    table = embedding.codes.weight
    expected = table[1] + 0.75 * table[2] + embedding.lengths.weight[2]
    assert torch.allclose(found, expected, atol=1e-6)
