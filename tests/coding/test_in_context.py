import numpy as np

from loopyvq.coding import encode_tokens
from loopyvq.coding.turns import PAD


def size_in_context(lengths, tables=None, codebook_size=9):
    codes = np.where(np.arange(4) < lengths[..., None], 0, PAD)
    return sum(map(len, encode_tokens(codes, lengths, codebook_size, "context", tables)))


def test_neighbours_tell_where_sites_stop():
    rows = np.arange(64)[:, None] + np.zeros((64, 64), np.int64)
    split = np.where(rows < 32, 0, 1)
    mixed = np.random.default_rng(0).permutation(split.reshape(-1)).reshape(64, 64)
    assert size_in_context(split) < 0.5 * size_in_context(mixed)
    # Without a grid there is nothing to tell.
    assert size_in_context(split.reshape(-1)) > 0.9 * size_in_context(mixed)


def test_an_image_corrects_the_network(tables):
    # The tables have seen many codes; here there is one, which must soon become cheap.
    lengths = np.ones((64, 64), np.int64)
    assert size_in_context(lengths, tables) * 8 < 0.3 * lengths.size
