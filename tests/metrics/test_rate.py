import math

import pytest
import torch

from loopyvq.metrics.rate import adaptive_bits, estimate_rate
from loopyvq.tokens import CONTINUE, PAD, Tokens


def coder_bits(symbols, alphabet):
    """Code a sequence symbol by symbol, with counts that start at one half."""
    counts, bits = [0.5] * alphabet, 0.0
    for symbol in symbols:
        bits -= math.log2(counts[symbol] / sum(counts))
        counts[symbol] += 1
    return bits


def tokens_of(codes):
    codes = torch.tensor(codes)
    return Tokens(codes, (codes != PAD).sum(dim=-1))


@pytest.mark.parametrize("alphabet", [1, 2, 7])
def test_bits_are_those_of_a_sequential_coder(alphabet):
    generator = torch.Generator().manual_seed(alphabet)
    rows = [torch.randint(0, alphabet, (n,), generator=generator) for n in (0, 1, 5, 200)]
    counts = torch.stack([torch.bincount(row, minlength=alphabet) for row in rows])
    expected = sum(coder_bits(row.tolist(), alphabet) for row in rows)
    assert adaptive_bits(counts) == pytest.approx(expected, abs=1e-8)


def test_counts_of_an_example_by_hand():
    tokens = tokens_of([[[0, 1], [CONTINUE, 0]], [[0, PAD], [PAD, PAD]]])
    rate = estimate_rate([tokens], 2)
    assert rate.num_tokens == 5
    assert rate.num_sites == 4
    # Turn 0 says 0, D, 0 and turn 1 says 1, 0, over the alphabet {0, 1, D}.
    assert rate.code_bits == pytest.approx(coder_bits([0, 2, 0], 3) + coder_bits([1, 0], 3))
    # Lengths 2 2 / 1 0; the contexts (left, upper) are all different, so each costs log2 3.
    assert rate.stop_bits == pytest.approx(4 * math.log2(3))
    assert rate.total_bits == rate.code_bits + rate.stop_bits


def test_a_context_is_learned_once_for_all_images():
    column = tokens_of([[[0]], [[PAD]], [[PAD]]])
    rate = estimate_rate([column] * 5, 2)
    outside, seen = [1] * 5, {1: [0] * 5, 0: [0] * 5}
    expected = coder_bits(outside, 2) + sum(coder_bits(row, 2) for row in seen.values())
    assert rate.stop_bits == pytest.approx(expected)
    assert rate.num_tokens == 5


def test_constant_lengths_cost_nothing():
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 8, (2, 6, 5, 3), generator=generator)
    rate = estimate_rate([Tokens(codes, torch.full((2, 6, 5), 3))], 8)
    assert rate.stop_bits == 0
    assert rate.code_bits > 2 * 6 * 5 * 3 * 2.5
    codes[0, 0, 0, 2] = PAD
    assert estimate_rate([Tokens(codes, (codes != PAD).sum(dim=-1))], 8).stop_bits > 0


def test_batches_and_grids_of_any_size_count_together():
    generator = torch.Generator().manual_seed(1)
    codes = torch.randint(0, 4, (3, 4, 4, 2), generator=generator)
    lengths = torch.randint(0, 3, (3, 4, 4), generator=generator)
    codes = torch.where(torch.arange(2) < lengths.unsqueeze(-1), codes, PAD)
    batch = Tokens(codes, lengths)
    singles = [Tokens(codes[i], lengths[i]) for i in range(3)]
    assert estimate_rate([batch], 4) == estimate_rate(singles, 4)
    other = tokens_of([[[1, 2], [PAD, PAD]]])
    assert estimate_rate([batch, other], 4).num_sites == 3 * 16 + 2


def test_sites_of_smaller_depth_join_those_of_larger():
    shallow, deep = tokens_of([[[1]]]), tokens_of([[[1, 0, 2]]])
    rate = estimate_rate([shallow, deep], 3)
    assert rate.code_bits == pytest.approx(coder_bits([1, 1], 4) + 2 * coder_bits([0], 4))


def test_nothing_costs_nothing():
    assert estimate_rate([], 4) == (0.0, 0.0, 0, 0)
