import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loopyvq.quantize import LoopConfig, LoopQuantizer
from loopyvq.quantize.supports import keep_largest, support_of_codes


def sparse_latents(rows=3000, width=24, seed=0):
    """Vectors of a few large entries each, as networks with a linear path give them."""
    generator = torch.Generator().manual_seed(seed)
    scale = torch.rand(rows, width, generator=generator) ** 4
    return torch.randn(rows, width, generator=generator) * scale


@pytest.mark.parametrize(
    ("supports", "size", "expected"),
    [((3,), 2, [3, 3]), ((1, 2), 5, [1, 1, 1, 2, 2]), ((1, 2, 4), 2, [1, 2])],
)
def test_codes_share_the_supports_evenly(supports, size, expected):
    assert support_of_codes(supports, size).tolist() == expected


@given(st.integers(1, 12), st.integers(1, 8), st.integers(0, 100))
def test_what_is_kept_is_the_nearest_vector_of_so_few_entries(size, width, seed):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randn(size, width, generator=generator)
    support = torch.randint(1, width + 1, (size,), generator=generator)
    kept = keep_largest(codes, support)
    assert torch.equal((kept != 0).sum(dim=1), support)
    assert torch.equal(kept[kept != 0], codes[kept != 0])
    largest = codes.square().sort(dim=1, descending=True).values
    for code, entries, sizes in zip(kept, support, largest, strict=True):
        torch.testing.assert_close(code.square().sum(), sizes[:entries].sum())


def test_of_equal_entries_the_first_are_kept():
    codes = torch.ones(1, 5)
    assert keep_largest(codes, torch.tensor([2])).tolist() == [[1, 1, 0, 0, 0]]


def test_without_supports_codes_stay_as_they_are():
    codes = torch.randn(3, 4)
    assert keep_largest(codes, None) is codes


@pytest.mark.parametrize("update", ["ema", "frozen"])
def test_a_fitted_loop_has_codes_of_few_entries(update):
    options = {"codebook_size": 30, "codebook_dim": 24, "code_supports": (1, 4, 24)}
    config = LoopConfig(**options, codebook_update=update, start_iterations=4)
    quantizer = LoopQuantizer.fit(sparse_latents(), config)
    entries = (quantizer.codebook.weight != 0).sum(dim=1)
    assert entries[:10].max() == 1
    assert 1 < entries[10:20].max() <= 4
    assert entries[20:].max() == 24


def test_few_entries_leave_less_error_after_many_turns():
    data, errors = sparse_latents(), {}
    for supports in ((), (1, 2, 4, 8)):
        config = LoopConfig(64, 24, supports, max_depth=24, start_iterations=10)
        quantizer = LoopQuantizer.fit(data, config)
        errors[supports] = quantizer(data, threshold=0.0).residual_norm.square().mean()
    assert errors[1, 2, 4, 8] < 0.5 * errors[()]


def test_codes_keep_few_entries_while_they_learn_and_may_change_which():
    config = LoopConfig(32, 24, (2,), max_depth=6, start_iterations=2, ema_decay=0.5)
    quantizer = LoopQuantizer(config).train()
    quantizer(sparse_latents(seed=1))
    before = quantizer.codebook.weight != 0
    for seed in range(20):  # revival comes every ten updates
        quantizer(sparse_latents(seed=seed).roll(5, dims=1))
        assert (quantizer.codebook.weight != 0).sum(dim=1).max() <= 2
    assert not torch.equal(before, quantizer.codebook.weight != 0)
