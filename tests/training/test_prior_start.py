import logging

import torch

from loopyvq.checkpoint import model_identity, save_tokenizer
from loopyvq.conditions import Condition
from loopyvq.data.token_batch import PackedTokens
from loopyvq.data.token_source import TokenSource
from loopyvq.models import Tokenizer, TokenizerConfig
from loopyvq.tokens import CONTINUE, PAD, Tokens
from loopyvq.training.prior_start import count_symbols, tokenizer_of_shards


def test_symbols_are_counted_turn_by_turn():
    codes = torch.tensor([[[[0, CONTINUE], [PAD, PAD]]], [[[1, 1], [1, 0]]]])
    lengths = torch.tensor([[[2, 0]], [[2, 2]]])
    packed = PackedTokens.pack(Tokens(codes, lengths), Condition())
    everything = count_symbols(packed, torch.tensor([0, 1]), 2)
    # codes 0 and 1, CONTINUE, STOP
    assert everything.tolist() == [[1, 2, 0, 1], [1, 1, 1, 0]]
    assert count_symbols(packed, torch.tensor([1]), 2).tolist() == [[0, 2, 0, 0], [1, 1, 0, 0]]


def test_the_tokenizer_is_found_where_the_hint_says(tmp_path, caplog):
    tokenizer = Tokenizer(TokenizerConfig(channels=(8, 16))).eval()
    save_tokenizer(tmp_path / "tokenizer.safetensors", tokenizer)
    source = TokenSource(
        tokenizer=model_identity(tokenizer), tokenizer_path="../tokenizer.safetensors"
    )
    folder = tmp_path / "shards"
    folder.mkdir()
    found = tokenizer_of_shards(source, folder)
    assert found is not None
    assert torch.equal(found.quantizer.code_vectors(), tokenizer.quantizer.code_vectors())
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        other = TokenSource(tokenizer="0" * 16, tokenizer_path="../tokenizer.safetensors")
        assert tokenizer_of_shards(other, folder) is None
        assert tokenizer_of_shards(TokenSource(tokenizer_path="../none"), folder) is None
    assert len(caplog.records) == 2
    assert "must find out by itself what codes mean" in caplog.text
