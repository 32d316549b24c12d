import math

import pytest
import torch

from loopyvq.codec.token_pieces import payloads_of
from loopyvq.data import Sample
from loopyvq.evaluation.prior_bits import prior_bits, totals
from loopyvq.models import Tokenizer
from loopyvq.models.prior.base import TokenNats
from loopyvq.pretokenize import ImageTokens, Known, KnownConfig, StopRule
from loopyvq.tokens import Tokens


def test_bits_are_those_of_the_prior_and_bytes_those_of_the_codec(tiny_config):
    torch.manual_seed(0)
    tokenizer = Tokenizer(tiny_config).eval()
    to_tokens = ImageTokens(tokenizer, StopRule(0.3, 4), Known(KnownConfig(), 8))
    images = torch.rand(3, 3, 32, 24) * 2 - 1

    def uniform(tokens, condition):
        lengths = tokens.lengths.float()
        return TokenNats(math.log(16) * lengths, math.log(2) * torch.ones_like(lengths))

    found = prior_bits(uniform, to_tokens, ["a", "b", "c"], Sample(images, torch.empty(3, 0)))
    assert [item.name for item in found] == ["a", "b", "c"]
    tokens = tokenizer.encode(images, 0.3)
    for index, item in enumerate(found):
        own = Tokens(tokens.codes[index], tokens.lengths[index])
        assert item.num_tokens == own.num_tokens
        assert item.num_pixels == 32 * 24
        assert item.code_bits == pytest.approx(4 * own.num_tokens)
        assert item.stop_bits == pytest.approx(12)
        assert item.context_bits == 8 * sum(map(len, payloads_of(own, 16, "context")))
    assert totals(found).num_tokens == tokens.num_tokens
