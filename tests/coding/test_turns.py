import numpy as np
import pytest

from loopyvq.coding import decode_tokens, encode_tokens
from loopyvq.errors import BitstreamError
from tests.coding.conftest import make_tokens


def test_the_first_byte_is_the_share_of_sites_that_stop():
    lengths = np.array([[0] * 1 + [1] * 999])
    codes = np.where(lengths[..., None] > 0, 0, -1)
    assert encode_tokens(codes, lengths, 4)[0][0] == 1
    lengths = 1 - lengths
    codes = np.where(lengths[..., None] > 0, 0, -1)
    assert encode_tokens(codes, lengths, 4)[0][0] == 254
    assert encode_tokens(codes[:, 1:], lengths[:, 1:], 4) == []


@pytest.mark.parametrize("share", [0, 1, 254, 255])
def test_a_wrong_share_is_refused(share):
    tokens = make_tokens((6, 6), 2, 4, 0)
    pieces = encode_tokens(*tokens, 4)
    pieces[0] = bytes([share]) + pieces[0][1:]
    with pytest.raises(BitstreamError):
        decode_tokens(pieces, (6, 6), 2, 4)


def test_empty_and_superfluous_pieces_are_refused():
    for piece in (b"", b"\xff"):
        with pytest.raises(BitstreamError, match="no tokens"):
            decode_tokens([piece], (2, 2), 2, 4)
    with pytest.raises(BitstreamError, match="do not fit"):
        decode_tokens([b"\0"] * 3, (2, 2), 2, 4)
    with pytest.raises(BitstreamError, match="contradicts"):
        decode_tokens([b"\0"], (0, 2), 2, 4)
