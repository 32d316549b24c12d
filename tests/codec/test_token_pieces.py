import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.codec.token_pieces import check_mode, payloads_of, tokens_of
from loopyvq.coding import MODES
from loopyvq.errors import BitstreamError, ConfigError
from loopyvq.spelling import SPELLINGS
from loopyvq.tokens import Tokens
from tests.coding.conftest import tokens_and_size

UNFITTED = [mode for mode in MODES if mode != "static"]


@given(tokens_and_size(), st.sampled_from(UNFITTED))
@settings(deadline=None)
def test_every_mode_inverts(example, mode):
    (codes, lengths), size = example
    if not codes.shape[-1]:
        return
    tokens = Tokens(torch.from_numpy(codes), torch.from_numpy(lengths))
    payloads = payloads_of(tokens, size, mode)
    back = tokens_of(payloads, lengths.shape, codes.shape[-1], size, mode)
    assert back.codes.equal(tokens.codes)
    assert back.lengths.equal(tokens.lengths)


@given(st.binary(max_size=12), st.sampled_from(SPELLINGS))
def test_any_bytes_are_tokens_or_a_bitstream_error(payload, spelling):
    try:
        tokens = tokens_of([payload], (2, 2), 3, 5, spelling)
    except BitstreamError:
        return
    assert payloads_of(tokens, 5, spelling) == [payload]


def test_a_spelling_has_one_payload():
    assert tokens_of([], (2, 2), 3, 5, "flat").num_tokens == 0
    with pytest.raises(BitstreamError, match="one chunk"):
        tokens_of([b"", b""], (2, 2), 3, 5, "flat")


def test_modes_are_checked():
    for mode in ("zip", "static"):
        with pytest.raises(ConfigError, match="mode"):
            check_mode(mode, None)
