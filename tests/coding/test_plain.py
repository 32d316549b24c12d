import numpy as np
import pytest

from loopyvq.coding import decode_tokens, encode_tokens, pack_symbols
from loopyvq.errors import BitstreamError


def test_sizes_are_those_of_the_rule():
    codes = np.array([[[3, 0], [1, -1]]])
    lengths = np.array([[2, 1]])
    assert [len(piece) for piece in encode_tokens(codes, lengths, 300, "padded")] == [3, 3]
    assert [len(piece) for piece in encode_tokens(codes, lengths, 300, "packed")] == [4, 2]


def test_a_token_after_padding_is_refused():
    planes = [pack_symbols(np.array([symbol]), 6) for symbol in (5, 2)]
    with pytest.raises(BitstreamError, match="after its padding"):
        decode_tokens(planes, (1, 1), 2, 4, "padded")


@pytest.mark.parametrize("mode", ["padded", "packed"])
def test_too_many_pieces_are_refused(mode):
    with pytest.raises(BitstreamError, match="do not fit"):
        decode_tokens([b""] * 3, (1, 1), 2, 4, mode)
    if mode == "packed":
        with pytest.raises(BitstreamError, match="more pieces"):
            decode_tokens([b"\x00"], (1, 1), 2, 4, mode)
