import pytest
import torch

from loopyvq.quantize.pull import pull_count, pull_walk
from loopyvq.quantize.residual import Limits
from loopyvq.tokens import CONTINUE, PAD


def walk(latents, codebook, threshold, step_size, max_depth, depth=None):
    rows = len(latents)
    limits = torch.full((rows,), threshold, dtype=torch.float64)
    turns = torch.full((rows,), max_depth) if depth is None else torch.tensor(depth)
    one, limits = torch.ones(()), Limits(limits, turns)
    return pull_walk(latents, codebook, one, limits, max_depth=max_depth, step_size=step_size)


@pytest.mark.parametrize("step_size", [0.05, 0.25, 0.5, 0.8, 1.0])
def test_the_formula_equals_the_literal_loop(literal_pull, step_size):
    generator = torch.Generator().manual_seed(int(100 * step_size))
    codebook = torch.randn(20, 3, generator=generator)
    latents = 3 * torch.randn(4000, 3, generator=generator)  # five times this: 20,000
    found = walk(latents, codebook, 0.3, step_size, 12)
    assert torch.equal(found.codes, literal_pull(latents, codebook, 0.3, step_size, 12))
    assert torch.equal(found.lengths, (found.codes != PAD).sum(dim=1))
    assert len(found.lengths.unique()) == 2 if step_size == 1.0 else len(found.lengths.unique()) > 2


@pytest.mark.parametrize("step_size", [0.25, 0.5])
def test_vectors_exactly_on_a_boundary_are_close_enough(literal_pull, step_size):
    # Quarters and halves are exact in binary, so the loop lands on the threshold itself.
    boundary = [0.25 / (1 - step_size) ** n for n in range(6)]
    distances = torch.tensor([d * f for d in boundary for f in (1 - 1e-15, 1.0, 1 + 1e-15)])
    latents = torch.stack([distances.double(), torch.zeros(len(distances)).double()], dim=1)
    codebook = torch.tensor([[0.0, 0.0], [-9.0, 0.0]])
    if step_size == 0.5:
        found = walk(latents, codebook, 0.25, step_size, 12)
        assert torch.equal(found.codes, literal_pull(latents, codebook, 0.25, step_size, 12))
        assert found.lengths[1::3].tolist() == [1, 2, 3, 4, 5, 6]
    exact = torch.tensor(boundary).double()
    pulls = pull_count(exact, torch.full_like(exact, 0.25), step_size)
    kept = 1 - step_size
    assert (exact * kept**pulls <= 0.25).all()
    assert (exact[1:] * kept ** (pulls[1:] - 1) > 0.25).all()


def test_counts_at_the_ends_of_the_range():
    distance = torch.tensor([0.0, 0.0, 1.0, 1.0, 5.0]).double()
    threshold = torch.tensor([0.0, 1.0, 0.0, torch.inf, 5.0]).double()
    assert pull_count(distance, threshold, 0.5).tolist() == [0, 0, torch.inf, 0, 0]
    assert pull_count(distance, threshold, 1.0).tolist() == [0, 0, 1, 0, 0]


def test_the_last_turn_that_is_allowed_emits_the_code():
    latents = torch.tensor([[9.0]] * 4)
    found = walk(latents, torch.tensor([[1.0], [-1.0]]), 0.1, 0.5, 4, depth=[0, 1, 2, 4])
    dummies = [[], [0], [CONTINUE, 0], [CONTINUE] * 3 + [0]]
    assert found.codes.tolist() == [row + [PAD] * (4 - len(row)) for row in dummies]
    assert found.lengths.tolist() == [0, 1, 2, 4]
    assert not found.reached.any()
    assert found.norms[:, 0].tolist() == [8.0] * 4


def test_the_unit_scales_codes_and_threshold():
    sigma, codebook = torch.tensor(4.0), torch.tensor([[1.0], [-1.0]])
    limits = Limits(torch.tensor([0.5]).double(), torch.tensor([6]))
    latents = torch.tensor([[10.0]])
    found = pull_walk(latents, codebook, sigma, limits, max_depth=6, step_size=0.5)
    # 10 is 6 = 1.5 sigma away from 4; two halvings bring it to .375.
    assert found.codes[0, :3].tolist() == [CONTINUE, CONTINUE, 0]
    assert found.norms[0, :4].tolist() == [1.5, 0.75, 0.375, 0.375]
    assert found.reached.all()
