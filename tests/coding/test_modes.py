from zlib import crc32

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopyvq.coding import MODES, TOKEN_MODES, decode_tokens, encode_tokens, ideal_bits
from loopyvq.coding.turns import CONTINUE, PAD
from loopyvq.errors import BitstreamError
from tests.coding import reference
from tests.coding.conftest import make_tokens, tokens_and_size
from tests.coding.formula import make_grid, make_tables

WITHOUT_TABLES = ("padded", "packed", "adaptive", "context")
ALL = [*((mode, False) for mode in WITHOUT_TABLES)]
ALL += [(mode, True) for mode in ("static", "adaptive", "context")]


def check_round_trip(tokens, size, mode, tables=None):
    codes, lengths = tokens
    pieces = encode_tokens(codes, lengths, size, mode, tables)
    depth = codes.shape[-1]
    for turns in range(len(pieces) + 1):
        back = decode_tokens(pieces[:turns], lengths.shape, depth, size, mode, tables)
        kept = np.arange(depth) < turns
        assert np.array_equal(back.codes, np.where(kept, codes, PAD))
        assert np.array_equal(back.lengths, np.minimum(lengths, turns))
    assert lengths.max(initial=0) <= len(pieces) <= depth


@pytest.mark.parametrize("mode", WITHOUT_TABLES)
@given(case=tokens_and_size())
@settings(max_examples=40, deadline=None)
def test_tokens_and_their_prefixes_come_back(mode, case):
    check_round_trip(*case, mode)


@pytest.mark.parametrize("mode", ["static", "adaptive", "context"])
@given(
    sites=st.lists(st.integers(0, 19), min_size=1, max_size=2),
    seed=st.integers(0, 2**31),
    kind=st.sampled_from(["random", "full", "empty", "smooth"]),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_tokens_come_back_with_tables(tables, mode, sites, seed, kind):
    check_round_trip(make_tokens(tuple(sites), 4, 9, seed, kind), 9, mode, tables)


@pytest.mark.parametrize("mode", WITHOUT_TABLES)
@pytest.mark.parametrize("size", [1 << 16, 1 << 20])
def test_large_codebooks(mode, size):
    tokens = make_tokens((3, 5), 3, size, 0)
    tokens.codes[tokens.codes >= 0][:1] = size - 1
    check_round_trip(tokens, size, mode)


@pytest.mark.parametrize("mode", WITHOUT_TABLES)
def test_many_sites(mode):
    check_round_trip(make_tokens((70, 90), 2, 50, 5), 50, mode)


@pytest.mark.parametrize(
    ("mode", "with_tables", "golden"),
    [
        ("padded", False, ["66a0", "96a0", "16d0"]),
        ("packed", False, ["d26500", "88", "00"]),
        ("adaptive", False, ["407d88", "55a3", "800d"]),
        ("context", False, ["406d4e", "5592", "8006"]),
        ("static", True, ["408a8e", "55a7", "8010"]),
        ("adaptive", True, ["408a8e", "55a7", "8010"]),
        ("context", True, ["407817", "55a1", "8013"]),
    ],
)
def test_golden_bytes(mode, with_tables, golden):
    codes = np.array([[[3, CONTINUE, 0], [1, PAD, PAD]], [[PAD, PAD, PAD], [2, 2, PAD]]])
    lengths = np.array([[3, 1], [0, 2]])
    pieces = encode_tokens(codes, lengths, 4, mode, make_tables() if with_tables else None)
    assert [piece.hex() for piece in pieces] == golden


@pytest.mark.parametrize(
    ("mode", "with_tables", "num_bytes", "check_sum"),
    [
        ("adaptive", False, 792, 3728224696),
        ("context", False, 806, 2647838933),
        ("static", True, 818, 1647440571),
        ("adaptive", True, 799, 2921479565),
        ("context", True, 816, 1007695824),
    ],
)
def test_golden_check_sums_of_a_larger_grid(mode, with_tables, num_bytes, check_sum):
    chosen = make_tables() if with_tables else None
    pieces = encode_tokens(*make_grid(31, 37), 4, mode, chosen)
    data = b"".join(pieces)
    assert (len(data), crc32(data)) == (num_bytes, check_sum)


@pytest.mark.parametrize(("mode", "with_tables"), ALL[2:])
def test_a_second_decoder_reads_the_same(mode, with_tables):
    tables = make_tables() if with_tables else None
    codes, lengths = make_grid(13, 21)
    pieces = encode_tokens(codes, lengths, 4, mode, tables)
    arrays = tables and {name: array.tolist() for name, array in tables.to_arrays().items()}
    sites = reference.decode_tokens(pieces, 13, 21, 3, 4, mode, arrays)
    for (row, column), tokens in sites.items():
        assert tokens == codes[row, column, : lengths[row, column]].tolist()


@pytest.mark.parametrize(("mode", "with_tables"), ALL)
def test_the_bytes_are_close_to_the_models_ideal(tables, mode, with_tables):
    if mode in ("padded", "packed"):
        with pytest.raises(ValueError, match="no model"):
            ideal_bits(*make_tokens((3, 3), 4, 9, 1), 9, mode)
        return
    tokens = make_tokens((48, 64), 4, 9, 1)
    chosen = tables if with_tables else None
    real_bits = 8 * sum(map(len, encode_tokens(*tokens, 9, mode, chosen)))
    assert 0 <= real_bits - ideal_bits(*tokens, 9, mode, chosen) <= 4 * 16


@pytest.mark.parametrize(("mode", "with_tables"), ALL)
def test_damaged_pieces_are_refused_or_are_other_tokens(tables, mode, with_tables):
    generator = np.random.default_rng(3)
    chosen = tables if with_tables else None
    tokens = make_tokens((9, 11), 4, 9, 1)
    pieces = encode_tokens(*tokens, 9, mode, chosen)
    refused = 0
    for _ in range(60):
        damaged = [bytearray(piece) for piece in pieces]
        piece = damaged[generator.integers(len(damaged))]
        at = int(generator.integers(len(piece)))
        match generator.integers(4):
            case 0:
                piece[at] ^= 1 << int(generator.integers(8))
            case 1:
                del piece[at:]
            case 2:
                piece += bytes(generator.integers(0, 256, 3).tolist())
            case _:
                piece[at:] = generator.bytes(len(piece) - at)
        try:
            back = decode_tokens([bytes(p) for p in damaged], (9, 11), 4, 9, mode, chosen)
        except BitstreamError:
            refused += 1
            continue
        # Whatever is accepted is valid: encoding it must work.
        encode_tokens(*back, 9, mode, chosen)
    assert refused > 10


@pytest.mark.parametrize(("mode", "with_tables"), ALL)
@given(pieces=st.lists(st.binary(max_size=30), max_size=5))
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_are_refused_or_are_what_an_encoder_writes(tables, mode, with_tables, pieces):
    chosen = tables if with_tables else None
    try:
        back = decode_tokens(pieces, (2, 3), 4, 9, mode, chosen)
    except BitstreamError:
        return
    again = encode_tokens(*back, 9, mode, chosen)
    assert again[: len(pieces)] == pieces[: len(again)]


def test_context_needs_fewer_bytes_than_order_zero_where_lengths_are_smooth():
    tokens = make_tokens((64, 64), 3, 9, 2, "smooth", 0.0)
    context, adaptive = (
        sum(map(len, encode_tokens(*tokens, 9, mode))) for mode in ("context", "adaptive")
    )
    assert context < 0.9 * adaptive


def test_every_mode_has_its_own_number():
    assert sorted(MODES.values()) == list(range(len(MODES)))
    assert set(TOKEN_MODES) <= set(MODES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "flat"}, "mode must be one of"),
        ({"mode": "static"}, "needs tables"),
        ({"codebook_size": 0}, "codebook_size"),
        ({"codebook_size": (1 << 20) + 1}, "codebook_size"),
        ({"codebook_size": 3}, r"0\.\.2"),
        ({"lengths": np.array([[3, 1]])}, "lengths must be"),
        ({"lengths": np.array([[1, 1]])}, "before a site's length"),
        ({"lengths": np.array([[-1, 1]])}, "lengths must be"),
    ],
)
def test_wrong_arguments_are_refused(change, message):
    arguments = {
        "codes": np.array([[[3, 0], [1, PAD]]]),
        "lengths": np.array([[2, 1]]),
        "codebook_size": 4,
    }
    with pytest.raises(ValueError, match=message):
        encode_tokens(**{**arguments, **change})


def test_tables_of_another_model_are_refused(tables):
    tokens = make_tokens((3, 3), 4, 8, 0)
    with pytest.raises(ValueError, match="do not fit"):
        encode_tokens(*tokens, 8, "context", tables)
    with pytest.raises(ValueError, match=r"\(h, w\) or \(n,\)"):
        decode_tokens([], (1, 2, 3), 4, 8)
