import pytest
import torch

from loopyvq.quantize.fit import assignments_of, fit_codes, left_by_one_turn
from loopyvq.quantize.residual import Limits, residual_walk
from loopyvq.tokens import CONTINUE, PAD


def latents(rows=400, width=3):
    generator = torch.Generator().manual_seed(0)
    energy = torch.rand(rows, 1, generator=generator) + 0.1
    return torch.randn(rows, width, generator=generator) * energy


def fit(data, size=12, turns=4, iterations=8, seed=0, **options):
    gains = 0.75 ** torch.arange(turns)
    generator = torch.Generator().manual_seed(seed)
    return fit_codes(data, size, gains, iterations=iterations, generator=generator, **options)


def error_of(data, fitted):
    rows, turns = len(data), len(fitted.gains)
    limits = Limits(torch.zeros(rows).double(), torch.full((rows,), turns))
    found = residual_walk(data, fitted.codes, fitted.gains, torch.ones(()), limits)
    return found.norms[:, -1].square().mean()


def test_assignments_list_every_residual_with_its_code():
    codes = torch.tensor([[1, CONTINUE, 0], [0, PAD, PAD], [PAD, PAD, PAD]])
    gains = torch.tensor([1.0, 0.5, 0.25])
    books = gains[:, None, None] * torch.tensor([[4.0], [8.0]])
    found = assignments_of(torch.tensor([[9.5], [3.0], [0.1]]), codes, books, gains)
    assert found.residuals.squeeze(1).tolist() == [9.5, 3.0, 1.5]
    assert found.codes.tolist() == [1, 0, 0]
    assert found.gains.tolist() == [1.0, 1.0, 0.25]
    assert found.turns.tolist() == [0, 0, 2]


def test_rounds_lower_the_error():
    data = latents()
    errors = [error_of(data, fit(data, iterations=rounds)) for rounds in (0, 1, 10)]
    assert errors[1] < errors[0]
    assert errors[2] < 0.8 * errors[0]


def test_the_codes_of_one_turn_are_the_means_of_their_vectors():
    data = latents()
    codes = fit(data, size=8, turns=1, iterations=60, dummies=False).codes
    nearest = torch.cdist(data, codes).argmin(dim=1)
    means = torch.stack([data[nearest == code].mean(dim=0) for code in range(8)])
    torch.testing.assert_close(codes, means, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dummies", [True, False])
def test_fitted_gains_start_at_one_and_never_rise(dummies):
    data = latents()
    fixed, free = fit(data), fit(data, fit_gains=True, dummies=dummies)
    torch.testing.assert_close(fixed.gains, 0.75 ** torch.arange(4))
    assert free.gains[0] == 1
    assert (free.gains.diff() <= 0).all()
    assert (free.gains > 0).all()
    assert not torch.allclose(free.gains, fixed.gains)


@pytest.mark.parametrize("rows", [1, 3, 11])
@pytest.mark.parametrize("iterations", [0, 5])
def test_few_vectors_give_codes_that_differ(rows, iterations):
    codes = fit(latents(rows), iterations=iterations).codes
    assert codes.isfinite().all()
    assert torch.pdist(codes).min() > 1e-4


def test_equal_vectors_give_codes_that_differ():
    data = latents(1).expand(7, -1)
    assert torch.pdist(fit(data).codes).min() > 1e-7
    assert torch.pdist(fit(0 * data).codes).min() > 1e-7


def test_the_seed_decides():
    data = latents()
    assert torch.equal(fit(data, seed=3).codes, fit(data, seed=3).codes)
    assert not torch.equal(fit(data, seed=3).codes, fit(data, seed=4).codes)


def test_small_codebooks_have_finite_gains():
    for seed in range(30):
        generator = torch.Generator().manual_seed(seed)
        data = torch.randn(6, 2, generator=generator) * torch.rand(6, 1, generator=generator) ** 3
        fitted = fit(data, size=1 + seed % 3, seed=seed, fit_gains=True)
        assert fitted.gains.isfinite().all()
        assert fitted.codes.isfinite().all()


def test_nothing_to_fit_to_is_refused():
    with pytest.raises(ValueError, match="at least one vector"):
        fit(torch.zeros(0, 3))


@pytest.mark.parametrize(("dummies", "expected"), [(True, [0.5, 0.25]), (False, [0.5, -0.75])])
def test_what_one_turn_leaves_over(dummies, expected):
    data, codes = torch.tensor([[2.5], [0.25]]).double(), torch.tensor([[1.0], [2.0]])
    left = left_by_one_turn(data, codes, dummies=dummies)
    assert left.squeeze(1).tolist() == expected
    assert left.dtype == torch.float32
