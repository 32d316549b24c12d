import copy
import itertools

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from loopyvq.quantize import LoopConfig, LoopQuantizer

SMALL = {"codebook_size": 8, "codebook_dim": 3, "max_depth": 4, "start_iterations": 2}


def latents(rows=80, seed=0):
    return torch.randn(rows, 3, generator=torch.Generator().manual_seed(seed))


def make(**options):
    torch.manual_seed(0)
    return LoopQuantizer(LoopConfig(**{**SMALL, **options})).train()


def state_of(module):
    named = itertools.chain(module.named_parameters(), module.named_buffers())
    return {key: value.detach().clone() for key, value in named}


def assert_same_state(one, other):
    left, right = state_of(one), state_of(other)
    assert all(torch.equal(left[key], right[key]) for key in left)


@pytest.mark.parametrize("transform", ["residual", "pull"])
def test_a_loop_starts_from_its_first_batch_and_only_once(transform):
    loop = make(transform=transform)
    every = torch.ones(80, dtype=torch.bool)
    loop.start(latents(), ~every)
    assert not loop.codebook.initialised
    loop.start(latents(), every)
    assert loop.codebook.initialised
    assert loop.length_curve.started
    assert loop.sigma == pytest.approx(latents().square().sum(dim=1).mean().sqrt().item())
    twin = copy.deepcopy(loop)
    loop.start(latents(seed=1), every)
    assert_same_state(loop, twin)


def test_only_rows_that_count_start_a_loop():
    poisoned, clean = make(), make()
    z = torch.cat([latents(), torch.full((5, 3), 1e6)])
    poisoned.start(z, torch.arange(85) < 80)
    clean.start(latents(), torch.ones(80, dtype=torch.bool))
    assert_same_state(poisoned, clean)


def test_a_start_depends_on_the_generator_alone():
    first, again, other = make(), make(), make()
    for loop, seed in ((first, 1), (again, 1), (other, 2)):
        loop.start_from(latents(2000), torch.Generator().manual_seed(seed))
    assert_same_state(first, again)
    assert not torch.equal(first.codebook.weight, other.codebook.weight)


def test_no_vector_starts_nothing():
    loop = make()
    before = copy.deepcopy(loop)
    loop.start_from(latents(0), torch.Generator())
    assert_same_state(loop, before)


def test_gains_are_learned_where_the_turns_share_codes():
    assert make().gains.learned
    for options in (
        {"transform": "pull"},
        {"learn_gains": False},
        {"max_depth": 1},
        {"codebook_update": "frozen"},
    ):
        assert not make(**options).gains.learned


def test_without_a_pass_there_is_nothing_to_learn():
    loop = make()
    before = copy.deepcopy(loop)
    loop.update()
    assert_same_state(loop, before)


def test_passes_are_collected_until_the_update():
    loop = make()
    loop(latents())
    loop.automatic_update = False
    saved = {key: value.clone() for key, value in loop.state_dict().items()}
    loop(latents(seed=1))
    loop(latents(seed=2))
    assert all(torch.equal(loop.state_dict()[key], saved[key]) for key in saved)
    loop.update()
    assert loop.codebook.updates == 2
    assert not torch.equal(loop.codebook.weight, saved["codebook.weight"])
    assert loop._recent is None


def test_a_codebook_that_is_frozen_stays_while_nothing_is_learned():
    loop = make(codebook_update="frozen")
    before = copy.deepcopy(loop)
    loop(latents())
    loop.learn(latents(), torch.ones(80, dtype=torch.bool), loop.encode(latents()).codes)
    assert torch.equal(loop.codebook.weight, before.codebook.weight)
    assert loop.frozen


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_a_pass_that_checkpointing_repeats_teaches_once(use_reentrant):
    plain = make()
    plain(latents())
    twin = copy.deepcopy(plain)
    plain(latents(seed=1))
    plain(latents(seed=2))
    twin.automatic_update = False
    for seed in (1, 2):
        z = latents(seed=seed).requires_grad_()
        z_q, _, loss = checkpoint(lambda x: twin(x)[:3], z, use_reentrant=use_reentrant)
        (z_q.sum() + loss).backward()
        twin.update()
    assert_same_state(plain, twin)


def test_what_is_learned_is_in_the_units_of_the_pass():
    loop = make(revive_below=0.0)
    loop(latents())
    before = copy.deepcopy(loop).eval()
    loop.automatic_update = False
    tokens = loop(100 * latents(seed=1)).tokens
    left = 100 * latents(seed=1) / before.sigma
    first = tokens.codes[:, 0]
    total = sum(left[first == code].sum() for code in range(8))
    assert loop._recent.turns.min() == 0
    assert loop._recent.residuals[loop._recent.turns == 0].sum() == pytest.approx(
        float(total), rel=1e-3, abs=1e-2
    )


def test_the_length_curve_follows_the_stop_rule():
    curves = []
    for options in ({}, {"stop": "rate_distortion"}, {"transform": "pull"}, {"min_length": 3}):
        loop = make(**options)
        loop(latents())
        curves.append(loop.length_curve.thresholds.new_tensor([]))
        lengths = [loop.eval().encode(latents(), threshold=t).lengths for t in (0.0, 0.3, 3.0)]
        curves[-1] = torch.stack(lengths).double().mean(dim=1)
    assert (curves[3] >= 3).all()
    assert (curves[2] >= 1).all()


def test_freezing_stops_learning_and_gradients_of_the_loop():
    loop = make(codebook_update="gradient")
    loop(latents())
    before = copy.deepcopy(loop)
    assert loop.freeze() is loop
    z = latents(seed=1).requires_grad_()
    loop(z).loss.backward()
    assert_same_state(loop, before)
    assert all(not parameter.requires_grad for parameter in loop.parameters())
    assert (z.grad != 0).any()


def test_later_turns_are_fitted_around_a_first_that_stays():
    loop = make(learn_gains=False, codebook_update="frozen", first_codebook=True, min_length=1)
    codes = latents(loop.codebook_size, seed=4)
    loop.first_codes.copy_(codes)
    before = copy.deepcopy(loop)
    loop.fit_later_turns(codes, latents(2000, seed=1), torch.Generator().manual_seed(0))
    assert torch.equal(loop.first_codes, codes)
    assert torch.equal(loop.sigma, before.sigma)
    assert loop.gains()[:2].tolist() == [1.0, 1.0]
    assert (loop.gains()[1:].diff() < 0).any()
    error, first = (
        model.eval()(latents(500, seed=2), threshold=0.0, depth=depth).residual_norm.mean()
        for model, depth in ((loop, None), (before, 1))
    )
    assert error < 0.5 * first
    lengths = loop.encode(latents(500, seed=2), threshold=0.3).lengths.double().mean()
    known = loop.length_curve.threshold_for(lengths.float())
    assert torch.isclose(known, torch.tensor(0.3), rtol=0.2)
    with pytest.raises(ValueError, match="first_codebook = True"):
        make().fit_later_turns(codes, latents(), torch.Generator())
