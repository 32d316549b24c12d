"""One test per line of the acceptance list, over every entry of `QUANTIZERS`.

A line that cannot apply to an entry is skipped by a predicate whose docstring says why. That a
broken quantizer is noticed is tested beside it, in ``test_contract_notices.py``.
"""

import copy
import functools
import itertools
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.checkpoint import checkpoint

from loopyvq.ops import nearest
from loopyvq.quantize import QUANTIZERS, LoopQuantizer
from loopyvq.quantize.residual.backends import compiled_path, has_numba
from loopyvq.spelling import SPELLINGS, spell, unspell
from loopyvq.tokens import CONTINUE, PAD, Tokens

SIZE, WIDTH, DEPTH, ROWS = 16, 4, 6, 300


def make(name, **options):
    """Build an entry of the table, small, before it has seen any data."""
    torch.manual_seed(0)
    settings = {"codebook_size": SIZE, "codebook_dim": WIDTH, "max_depth": DEPTH}
    return QUANTIZERS[name](**{**settings, "start_iterations": 4, **options})


@functools.cache
def _fitted_once(name, options):
    return LoopQuantizer.fit(latents(), make(name, **dict(options)).config)


def fitted(name, **options):
    """Build an entry that was fitted to `latents`, in evaluation mode."""
    return copy.deepcopy(_fitted_once(name, tuple(sorted(options.items()))))


def latents(rows=ROWS, seed=0, width=WIDTH):
    """Vectors of uneven energy."""
    generator = torch.Generator().manual_seed(seed)
    energy = torch.rand(rows, 1, generator=generator) * 1.9 + 0.1
    return torch.randn(rows, width, generator=generator) * energy


def every_depth(quantizer, rows=ROWS):
    """Limits of 0, 1, ..., `max_depth` turns, mixed."""
    return torch.arange(rows) % (quantizer.max_depth + 1)


def state_of(module):
    """Copy all parameters and buffers, those that are not saved as well."""
    named = itertools.chain(module.named_parameters(), module.named_buffers())
    return {key: value.detach().clone() for key, value in named}


def assert_same_state(before, after):
    assert before.keys() == after.keys()
    for key, value in before.items():
        assert torch.equal(value, after[key]), key


def assert_same_tokens(left, right):
    assert torch.equal(left.codes, right.codes)
    assert torch.equal(left.lengths, right.lengths)


def mean_squared_error(quantizer, z):
    return quantizer.eval()(z, threshold=0.0).residual_norm.square().mean()


def learned_from(quantizer, z, codes):
    """Write out what a codebook learns: sums of ``g r`` and of ``g^2`` per code, in float64."""
    lengths = (codes != PAD).sum(dim=1)
    tokens, sigma = Tokens(codes, lengths), quantizer.sigma.double()
    sums, mass = torch.zeros(SIZE, z.shape[1]).double(), torch.zeros(SIZE).double()
    for turn, gain in enumerate(quantizer.gains().detach().double()):
        left = (z.double() - quantizer.decode(tokens.prefix(turn)).double()) / sigma
        for row in (codes[:, turn] >= 0).nonzero().squeeze(1):
            sums[codes[row, turn]] += gain * left[row]
            mass[codes[row, turn]] += gain**2
    return sums, mass


def ran(quantizer, codes):
    """Tell which turns have a partial sum of their own: in a pull only the one with the code."""
    return codes >= 0 if quantizer.config.transform == "pull" else codes != PAD


def commitment_by_hand(quantizer, z, tokens):
    """Average the squared distance from the partial sums over the turns that ran, in float64."""
    took = ran(quantizer, tokens.codes)
    total = torch.zeros((), dtype=torch.float64)
    for turn in range(quantizer.max_depth):
        partial = quantizer.decode(tokens.prefix(turn + 1)).double()
        distance = ((z.double() - partial) / quantizer.sigma.double()).square().sum(dim=-1)
        total = total + distance[took[..., turn]].sum()
    return total / took.sum().clamp(min=1)


def greedy_by_hand(quantizer, z, threshold):
    """Search exhaustively in float64, on what the decoder decodes: float32 sums times sigma."""
    exact, sigma = z.double().numpy(), quantizer.sigma.numpy()
    books = (quantizer.gains()[:, None, None] * quantizer.codebook.weight).detach().numpy()
    total = np.zeros(z.shape, np.float32)
    codes = np.full((len(z), len(books)), PAD)
    going = np.ones(len(z), bool)

    def error(summed):
        return (exact - (summed * sigma).astype(np.float64)) / np.float64(sigma)

    for turn, book in enumerate(books):
        left = error(total)
        energy = np.square(left).sum(axis=1)
        going &= np.sqrt(energy) > threshold
        best = np.square(left[:, None] - book.astype(np.float64)).sum(axis=2).argmin(axis=1)
        taken = going & (np.square(error(total + book[best])).sum(axis=1) < energy)
        if not quantizer.config.dummies:
            taken = going
        codes[:, turn] = np.where(taken, best, np.where(going, CONTINUE, PAD))
        total = np.where(taken[:, None], total + book[best], total)
    return torch.from_numpy(codes)


def any_entry(name):
    """Every entry."""
    return name in QUANTIZERS


def sums_up(name):
    """A pull's tokens before the last say how far, not what: there is no partial sum."""
    return make(name).config.transform == "residual"


def pulls(name):
    """Only a pull has a formula in place of its loop."""
    return make(name).config.transform == "pull"


def goes_round(name):
    """Plain VQ has one turn by definition."""
    return make(name).max_depth > 1


def may_refuse(name):
    """Without dummies a turn must emit a code even where none helps; a pull has no sum."""
    return sums_up(name) and make(name).config.dummies


def entries(predicate=any_entry):
    """Run a test over the entries to which it applies, and show the others as skipped."""
    names = [
        pytest.param(name, marks=pytest.mark.skipif(not predicate(name), reason=predicate.__doc__))
        for name in QUANTIZERS
    ]
    return pytest.mark.parametrize("name", names)


# Gradient


@entries()
def test_g1_gradient_is_identity(name):
    quantizer = fitted(name).train()
    z = latents().requires_grad_()
    result = quantizer(z, threshold=0.0, depth=every_depth(quantizer))
    assert set(result.lengths.tolist()) == set(range(quantizer.max_depth + 1))
    upstream = latents(seed=1)
    (gradient,) = torch.autograd.grad(result.z_q, z, upstream)
    assert torch.equal(gradient, upstream)


@entries()
def test_g2_masked_positions_have_zero_gradient(name):
    z, mask = latents().requires_grad_(), torch.arange(ROWS) % 3 > 0
    result = fitted(name).train()(z, mask=mask)
    (gradient,) = torch.autograd.grad(result.z_q.sum() + result.loss, z)
    assert (gradient[~mask] == 0).all()
    assert (gradient[mask] != 0).all()
    assert (result.z_q[~mask] == 0).all()
    assert (result.codes[~mask] == PAD).all()


@entries()
def test_g3_turns_that_did_not_run_add_nothing(name):
    quantizer = fitted(name)
    z = latents().requires_grad_()
    result = quantizer(z, threshold=0.2, depth=every_depth(quantizer))
    expected = commitment_by_hand(quantizer, z, result.tokens)
    torch.testing.assert_close(result.commitment_loss.double(), expected, rtol=1e-5, atol=0)
    (gradient,) = torch.autograd.grad(result.commitment_loss, z)
    (by_hand,) = torch.autograd.grad(expected, z)
    torch.testing.assert_close(gradient, by_hand, rtol=1e-4, atol=1e-6)
    assert (gradient[result.lengths == 0] == 0).all()


@entries(sums_up)
def test_g4_every_turn_that_ran_gets_a_commitment_gradient(name):
    quantizer = fitted(name)
    z = latents().requires_grad_()

    def up_to(depth):
        result = quantizer(z, threshold=0.2, depth=depth)
        (gradient,) = torch.autograd.grad(result.commitment_loss * result.lengths.sum(), z)
        return gradient, result

    before, _ = up_to(0)
    for turn in range(quantizer.max_depth):
        after, result = up_to(turn + 1)
        took = result.lengths > turn
        assert took.any()
        expected = 2 * (z - result.z_q).detach() / quantizer.sigma**2
        torch.testing.assert_close((after - before)[took], expected[took], rtol=1e-3, atol=1e-4)
        assert ((after - before)[took].norm(dim=1) > 1e-3).all()
        assert ((after - before)[~took] == 0).all()
        before = after


@entries()
def test_g5_used_codes_get_a_gradient_and_unused_ones_none(name):
    quantizer = fitted(name, codebook_update="gradient").train()
    z = latents(5)
    result = quantizer(z, threshold=0.2, depth=2)
    result.loss.backward()
    used = torch.zeros(SIZE, dtype=torch.bool)
    used[result.codes[result.codes >= 0]] = True
    assert 0 < used.sum() < SIZE
    assert torch.equal((quantizer.codebook.weight.grad != 0).any(dim=1), used)


@entries()
def test_g6_the_loss_is_the_same_with_padding_and_masked_rows(name):
    quantizer = fitted(name, codebook_update="gradient")
    z = latents()
    expected = quantizer(z)
    padded = torch.cat([z, 50 * latents(37, seed=1), torch.zeros(500, WIDTH)])
    mask = torch.arange(len(padded)) < ROWS
    result = quantizer(padded, mask=mask)
    assert expected.codebook_loss > 0
    for term in ("loss", "commitment_loss", "codebook_loss"):
        torch.testing.assert_close(getattr(result, term), getattr(expected, term))


@entries(goes_round)
def test_g6_the_loss_is_the_same_with_a_larger_max_depth(name):
    options = {"scale": "absolute", "codebook_update": "gradient"}
    if sums_up(name):
        options["learn_gains"] = False
    shallow, deep = (make(name, max_depth=depth, **options).eval() for depth in (DEPTH, 3 * DEPTH))
    codes = latents(SIZE, seed=2)
    shallow.codebook.set(codes)
    deep.codebook.set(codes)
    expected, result = shallow(latents()), deep(latents(), depth=DEPTH)
    assert torch.equal(result.lengths, expected.lengths)
    torch.testing.assert_close(result.loss, expected.loss)


@entries()
@pytest.mark.parametrize("update", ["ema", "gradient"])
def test_g7_nothing_is_edited_in_place(name, update):
    quantizer = make(name, codebook_update=update, revive_below=0.9).train()
    z = latents()
    z[7, 0] = torch.nan
    kept = z.clone()
    z.requires_grad_()
    mask = torch.arange(ROWS) > 5
    for step in range(11):  # the last two updates are right before and right after a revival
        result = quantizer(z, mask=mask)
        if step < 9:
            continue
        with torch.autograd.set_detect_anomaly(True):
            total = result.loss + result.z_q.square().sum()
            (first,) = torch.autograd.grad(total, z, retain_graph=True)
            quantizer(z, mask=mask)
            (second,) = torch.autograd.grad(total, z)
        assert torch.equal(first, second)
        assert first.isfinite().all()
    torch.testing.assert_close(z.detach(), kept, rtol=0, atol=0, equal_nan=True)
    assert mask.sum() == ROWS - 6


# State


@entries()
def test_s1_averages_are_no_parameters_and_move_once_per_step(name):
    quantizer = fitted(name, revive_below=0.0).train()
    assert all("weight" not in key for key, _ in quantizer.named_parameters())
    quantizer(latents(seed=1))
    before, z = copy.deepcopy(quantizer), latents(seed=2)
    result = quantizer(z)
    assert quantizer.codebook.updates == before.codebook.updates + 1
    sums, mass = learned_from(before, z, result.codes)
    expected = (0.99 * before.codebook.sums + 0.01 * sums) / (
        0.99 * before.codebook.mass + 0.01 * mass
    ).unsqueeze(1)
    torch.testing.assert_close(quantizer.codebook.weight.double(), expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(quantizer.codebook.weight, before.codebook.weight, rtol=1e-4)


@entries()
def test_s1_a_codebook_of_the_optimizer_is_moved_by_nothing_else(name):
    quantizer = fitted(name, codebook_update="gradient", revive_below=0.0).train()
    assert any(parameter is quantizer.codebook.weight for parameter in quantizer.parameters())
    before = quantizer.codebook.weight.detach().clone()
    for seed in range(3):
        quantizer(latents(seed=seed)).loss.backward()
    assert torch.equal(quantizer.codebook.weight, before)
    torch.optim.SGD(quantizer.parameters(), lr=0.1).step()
    assert not torch.equal(quantizer.codebook.weight, before)


@entries()
def test_s2_the_first_average_does_not_undo_the_start(name):
    started, stepped = make(name).train(), make(name).train()
    started.automatic_update = False
    z = latents()
    started(z)
    stepped(z)
    assert stepped.codebook.updates == 1
    assert not torch.equal(started.codebook.weight, stepped.codebook.weight)
    assert mean_squared_error(stepped, z) <= 1.05 * mean_squared_error(started, z)


@entries()
@pytest.mark.parametrize(
    "few",
    [latents(5), latents(1), latents(1).expand(7, -1), torch.zeros(3, WIDTH)],
    ids=["five", "one", "seven equal", "zeros"],
)
def test_s3_fewer_samples_than_codes_give_no_duplicate_codes(name, few):
    quantizer = make(name).train()
    assert quantizer(few).loss.isfinite()
    assert quantizer.codebook.initialised
    assert quantizer.codebook.weight.isfinite().all()
    assert len(quantizer.codebook.weight.unique(dim=0)) == SIZE


@entries()
def test_s4_a_revived_code_stays(name):
    quantizer = fitted(name).train()
    codes = quantizer.codebook.weight.clone()
    codes[3] = 100.0
    quantizer.codebook.set(codes)
    for seed in range(9):
        quantizer(latents(seed=seed))
    assert quantizer.codebook.weight[3].min() > 90
    quantizer(latents(seed=9))
    revived = quantizer.codebook.weight[3].clone()
    assert revived.norm() < 10
    for _ in range(50):
        site = quantizer.codebook.weight[0] * quantizer.sigma
        result = quantizer(site.expand(8, -1), depth=1)
        assert not (result.codes == 3).any()
    torch.testing.assert_close(quantizer.codebook.weight[3], revived, rtol=1e-3, atol=1e-3)


@entries()
def test_s4_masked_sites_are_never_sampled(name):
    quantizer = make(name, revive_below=0.9).train()
    for seed in range(20):
        z, mask = latents(seed=seed), torch.arange(ROWS) % 2 == 0
        z[~mask] = 1e4
        quantizer(z, mask=mask)
    assert quantizer.sigma < 10
    # Residuals are divided by their gain, so revived codes may be somewhat larger than latents.
    assert quantizer.codebook.weight.norm(dim=1).max() < 20


def set_codes_by_hand(kind):
    if kind == "skewed":  # one code takes nearly all vectors
        codes = 5 + latents(SIZE, seed=3)
        codes[4] = 0.5
        return codes
    half = latents(SIZE // 2, seed=3)
    return torch.cat([half, -half])  # sums to zero exactly


@entries()
@pytest.mark.parametrize("kind", ["skewed", "symmetric"])
@pytest.mark.parametrize("shift", [-0.5, 0.5])
def test_s5_codes_set_by_the_user_stay(name, kind, shift):
    quantizer = fitted(name, revive_below=0.0).train()
    codes = set_codes_by_hand(kind)
    quantizer.codebook.set(codes)
    before, z = copy.deepcopy(quantizer), latents(seed=1) + shift
    result = quantizer(z)
    sums, mass = learned_from(before, z, result.codes)
    used = mass > 0
    assert used.any()
    way = (sums[used] / mass[used].unsqueeze(1) - codes[used]).norm(dim=1)
    moved = (quantizer.codebook.weight - codes).norm(dim=1)
    assert (moved[used] <= 0.05 * way + 1e-5).all()
    assert (moved[used] > 0).any()
    torch.testing.assert_close(moved[~used], torch.zeros(SIZE)[~used], rtol=0, atol=1e-5)


@entries()
@pytest.mark.parametrize("build", [make, fitted])
def test_s6_evaluation_changes_nothing(name, build):
    quantizer = build(name).eval()
    before, saved = state_of(quantizer), copy.deepcopy(quantizer.state_dict())
    tokens = quantizer(latents()).tokens
    quantizer.encode(latents())
    quantizer.decode(tokens)
    quantizer.update()
    assert_same_state(before, state_of(quantizer))
    assert_same_state(saved, quantizer.state_dict())


@entries()
@pytest.mark.parametrize("build", [make, fitted])
@pytest.mark.parametrize("update", ["ema", "gradient"])
def test_s7_freeze_stops_all_learning(name, build, update):
    quantizer = build(name, codebook_update=update, revive_below=0.9).freeze().train()
    before = state_of(quantizer)
    z = latents(seed=5).requires_grad_()
    for _ in range(11):
        result = quantizer(z)
        (result.loss + result.z_q.sum()).backward()
    assert_same_state(before, state_of(quantizer))
    assert all(parameter.grad is None for parameter in quantizer.parameters())
    assert (z.grad != 0).any()


@entries()
def test_s8_a_loaded_state_is_initialised(name):
    source = fitted(name).train()
    source(latents(seed=1))
    fresh = make(name)
    assert not fresh.codebook.initialised
    fresh.load_state_dict(source.state_dict())
    assert fresh.codebook.initialised
    z = latents(seed=2)
    assert_same_tokens(fresh.eval().encode(z), source.eval().encode(z))
    fresh.train()(z)
    source.train()(z)
    assert_same_state(state_of(source), state_of(fresh))


@entries()
def test_s8_a_copy_is_independent(name):
    source = make(name).train()
    source.automatic_update = False
    source(latents())
    twin = copy.deepcopy(source)
    before = state_of(source)
    twin.update()
    assert twin.codebook.updates == 1
    assert_same_state(before, state_of(source))
    source.update()
    assert_same_state(state_of(source), state_of(twin))


@entries()
def test_s9_accumulated_passes_make_one_update(name):
    z = latents(seed=1)
    whole, parts = (fitted(name, revive_below=0.0).train() for _ in range(2))
    whole(z)
    parts.automatic_update = False
    before = parts.codebook.weight.clone()
    for part in z.split(70):
        parts(part)
    assert torch.equal(parts.codebook.weight, before)
    parts.update()
    assert parts.codebook.updates == 1
    for key in ("codebook.weight", "codebook.usage", "scale.sigma"):
        torch.testing.assert_close(state_of(parts)[key], state_of(whole)[key], rtol=1e-4, atol=1e-5)
    again = state_of(parts)
    parts.update()
    assert_same_state(again, state_of(parts))


@entries()
def test_s9_activation_checkpointing_makes_one_update(name):
    z = latents(seed=1)
    plain = fitted(name, revive_below=0.0).train()
    plain(latents(seed=2))  # from here on averages weigh the old against the new
    checkpointed = copy.deepcopy(plain)
    checkpointed.automatic_update = False
    plain(z)
    leaf = z.clone().requires_grad_()
    z_q, _, loss = checkpoint(lambda x: checkpointed(x)[:3], leaf, use_reentrant=False)
    (z_q.sum() + loss).backward()
    assert leaf.grad.isfinite().all()
    checkpointed.update()
    assert_same_state(state_of(plain), state_of(checkpointed))


@entries()
def test_s10_all_turns_use_one_version_of_the_codebook(name):
    quantizer = fitted(name, ema_decay=0.0).train()
    before = copy.deepcopy(quantizer).eval()
    z = latents(seed=1)
    result = quantizer(z, threshold=0.0)
    assert not torch.equal(quantizer.codebook.weight, before.codebook.weight)
    assert_same_tokens(result.tokens, before.encode(z, threshold=0.0))
    assert torch.equal(result.z_q, before.decode(result.tokens))


@entries()
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("build", [make, fitted])
def test_s11_a_row_that_is_not_finite_disturbs_nothing(name, bad, build):
    z = latents(seed=1)
    z[11, 2] = bad
    others = torch.arange(ROWS) != 11
    poisoned, clean = build(name).train(), build(name).train()
    for _ in range(2):
        result, expected = poisoned(z), clean(z[others])
    assert torch.equal(result.codes[others], expected.codes)
    assert torch.equal(result.z_q[others], expected.z_q)
    torch.testing.assert_close(result.loss, expected.loss)
    assert torch.equal(poisoned.codebook.weight, clean.codebook.weight)
    assert torch.equal(poisoned.sigma, clean.sigma)
    assert result.residual_norm.isnan().nonzero().tolist() == [[11]]
    assert not result.converged[11]
    assert result.lengths[11] == 0
    assert (result.z_q[11] == 0).all()


@entries()
@pytest.mark.parametrize("build", [make, fitted])
@pytest.mark.parametrize("shape", [(0, WIDTH), (3, 0, WIDTH), (2, 5, WIDTH)])
def test_s12_no_valid_site_changes_nothing(name, build, shape):
    quantizer = build(name).train()
    before = state_of(quantizer)
    z = torch.ones(shape, requires_grad=True)
    result = quantizer(z, mask=torch.zeros(shape[:-1], dtype=torch.bool))
    result.loss.backward()
    assert result.loss == 0
    assert (z.grad == 0).all()
    assert result.codes.shape == (*shape[:-1], quantizer.max_depth)
    assert quantizer.decode(result.tokens).shape == shape
    assert quantizer.encode(z[..., :0, :]).codes.numel() == 0
    assert_same_state(before, state_of(quantizer))


@entries()
@pytest.mark.parametrize(("rows", "size", "width"), [(1, 16, 4), (9, 1, 4), (9, 16, 1), (1, 1, 1)])
def test_s12_the_smallest_sizes_work(name, rows, size, width):
    quantizer = make(name, codebook_size=size, codebook_dim=width).train()
    z = latents(rows, width=width).requires_grad_()
    for _ in range(12):
        result = quantizer(z)
        result.loss.backward()
        assert result.loss.isfinite()
    assert z.grad.isfinite().all()
    assert all(value.isfinite().all() for value in state_of(quantizer).values())
    assert quantizer.eval()(z).residual_norm.isfinite().all()


# Search


def near_ties(quantizer):
    """Decoded midpoints of codes, so that rounding alone would decide between them."""
    codes = quantizer.codebook.weight.detach() * quantizer.sigma
    pairs = (codes.unsqueeze(0) + codes.unsqueeze(1)).reshape(-1, codes.shape[1]) / 2
    return torch.cat([pairs, latents(4096 - len(pairs), width=codes.shape[1])])


@entries()
def test_n1_codes_do_not_depend_on_how_the_search_is_run(name, monkeypatch):
    quantizer = fitted(name)
    z = near_ties(quantizer)
    assert len(z) == 4096
    expected = quantizer.encode(z, threshold=0.1)
    for rows, checked in ((1, 60), (7, 700), (64, 4096)):
        for start in range(0, checked, rows):
            part = quantizer.encode(z[start : start + rows], threshold=0.1)
            assert torch.equal(part.codes, expected.codes[start : start + rows])
    wide = torch.stack([z, z], dim=2).reshape(4096, 2 * WIDTH)[:, ::2]
    columns = z.T.contiguous().T
    assert not wide.is_contiguous()
    assert not columns.is_contiguous()
    for strided in (wide, columns, z.reshape(64, 64, WIDTH).transpose(0, 1)):
        tokens = quantizer.encode(strided, threshold=0.1)
        codes = tokens.codes.transpose(0, 1) if strided.ndim == 3 else tokens.codes
        assert torch.equal(codes.reshape(expected.codes.shape), expected.codes)
    monkeypatch.setattr(nearest, "_SCORES_PER_BLOCK", 33 * SIZE)
    if has_numba():
        monkeypatch.setattr(compiled_path(), "_FEWEST_ROWS", 7)
        monkeypatch.setattr(compiled_path(), "_SCORES_PER_BLOCK", 33 * SIZE)
    assert_same_tokens(quantizer.encode(z, threshold=0.1), expected)


@entries()
def test_n1_codes_do_not_depend_on_the_number_of_threads(name):
    quantizer = fitted(name)
    z = near_ties(quantizer)
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(quantizer.encode(z, threshold=0.1))
    finally:
        torch.set_num_threads(threads)
    assert_same_tokens(*found)


@entries()
def test_n2_exact_ties_give_the_lowest_index(name):
    quantizer = make(name, scale="absolute", codebook_size=6).eval()
    axes = torch.eye(WIDTH)
    quantizer.codebook.set(torch.stack([-axes[1], axes[1], axes[0], axes[1], axes[0], -axes[0]]))
    z = torch.stack([axes[0] + axes[1], axes[0], -axes[0] - axes[1], axes[0] - axes[1]])
    tokens = quantizer.encode(z, threshold=2.0 if pulls(name) else 0.5)
    assert tokens.codes[:, 0].tolist() == [1, 2, 0, 0]


@entries(sums_up)
@pytest.mark.parametrize("offset", [0.0, 1e3, 1e4])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_n3_codes_equal_a_greedy_search_in_float64(name, offset, scale):
    z = (latents(600) + offset) * scale
    quantizer = make(name, start_iterations=2).train()
    quantizer(z)
    quantizer.eval()
    for threshold in (0.0, 0.5 * float(quantizer(z).residual_norm.median())):
        expected = greedy_by_hand(quantizer, z, threshold)
        assert torch.equal(quantizer.encode(z, threshold=threshold).codes, expected)
    one_turn = quantizer.encode(z, threshold=0.0, depth=1).codes[:, 0]
    assert torch.equal(one_turn, greedy_by_hand(quantizer, z, 0.0)[:, 0])


@entries()
@pytest.mark.parametrize("offset", [0.0, 1e3, 1e4])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_n3_one_turn_equals_an_exhaustive_search_among_crowded_codes(name, offset, scale):
    z = (latents(600) + offset) * scale
    quantizer = make(name, scale="absolute", dummies=False) if name == "loop" else None
    quantizer = quantizer or make(name, scale="absolute")
    quantizer.codebook.set(z[::37][:SIZE].clone())
    exact, codes = z.double(), quantizer.codebook.weight.detach().double()
    expected = (exact.unsqueeze(1) - codes).square().sum(dim=2).numpy().argmin(axis=1)
    found = quantizer.eval().encode(z, threshold=0.0, depth=1).codes[:, 0]
    assert np.array_equal(found.numpy(), expected)
    assert len(set(expected.tolist())) > SIZE // 2


@entries()
def test_n4_float64_is_searched_in_float64(name):
    quantizer = make(name, scale="absolute", codebook_dim=1, codebook_size=2).eval()
    quantizer.codebook.set(torch.tensor([[1.0], [2.0]]))
    z = torch.tensor([[1.5 - 1e-12], [1.5 + 1e-12]], dtype=torch.float64)
    threshold = 0.6
    result = quantizer(z, threshold=threshold)
    assert result.z_q.dtype == torch.float64
    assert result.codes[:, 0].tolist() == [0, 1]
    assert quantizer.encode(z, threshold=threshold).codes[:, 0].tolist() == [0, 1]
    assert quantizer.encode(z.float(), threshold=threshold).codes[:, 0].tolist() == [0, 0]


@entries()
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_n5_the_residual_norm_is_the_true_one(name, offset):
    quantizer = fitted(name)
    z = latents(seed=1) + offset
    result = quantizer(z, threshold=0.1)
    decoded = quantizer.decode(result.tokens).double()
    true = (z.double() - decoded).norm(dim=1) / quantizer.sigma.double()
    torch.testing.assert_close(result.residual_norm.double(), true, rtol=1e-5, atol=1e-5)
    assert true.min() < true.max()


@entries()
def test_n6_dropping_finished_vectors_changes_no_code(name):
    quantizer = fitted(name)
    z = latents(60, seed=1)
    tokens = quantizer.encode(z, threshold=0.4)
    assert len(set(tokens.lengths.tolist())) > 1 or not goes_round(name) or name == "residual_vq"
    for row in range(len(z)):
        alone = quantizer.encode(z[row], threshold=0.4)
        assert torch.equal(alone.codes, tokens.codes[row])
        assert alone.lengths == tokens.lengths[row]


@entries(sums_up)
def test_n6_codes_are_a_prefix_of_those_at_threshold_zero(name):
    quantizer = fitted(name)
    z = latents(seed=1)
    tokens = quantizer.encode(z, threshold=0.4)
    full = quantizer.encode(z, threshold=0.0)
    assert (tokens.lengths < full.lengths).any()
    kept = tokens.codes != PAD
    assert torch.equal(tokens.codes[kept], full.codes[kept])


@entries()
def test_n7_a_vector_at_the_threshold_is_close_enough(name):
    quantizer = make(name, scale="absolute", codebook_size=WIDTH).eval()
    quantizer.codebook.set(torch.eye(WIDTH))
    site = torch.tensor([[1.5, 0.0, 0.0, 0.0]])
    at = quantizer(site, threshold=0.5)
    assert at.lengths.tolist() == [1]
    assert at.converged.all()
    below = quantizer(site, threshold=math.nextafter(0.5, 0.0), depth=2)
    assert below.lengths.tolist() == [min(2, quantizer.max_depth)]
    assert bool(below.converged) == goes_round(name)


@entries()
def test_n7_lengths_never_rise_with_the_threshold(name):
    quantizer = fitted(name)
    z = latents(seed=1)
    thresholds = [0.0, 0.05, 0.2, 0.5, 1.0, 2.0, torch.inf]
    lengths = torch.stack([quantizer.encode(z, threshold=value).lengths for value in thresholds])
    assert (lengths.diff(dim=0) <= 0).all()
    assert (lengths[0] == quantizer.max_depth).all()
    assert (lengths[-1] == (1 if pulls(name) else 0)).all()
    assert lengths.max() <= quantizer.max_depth
    assert len(lengths.double().mean(dim=1).unique()) > 2 or not goes_round(name)


@entries()
def test_n7_a_threshold_per_site_is_that_of_its_site(name):
    quantizer = fitted(name)
    z = latents(seed=1).reshape(3, 10, 10, WIDTH)
    values = [0.1, 0.4, torch.inf]
    tokens = quantizer.encode(z, threshold=torch.tensor(values).reshape(3, 1, 1))
    for image, value in enumerate(values):
        alone = quantizer.encode(z[image], threshold=value)
        assert torch.equal(tokens.codes[image], alone.codes)
        assert torch.equal(tokens.lengths[image], alone.lengths)


@entries()
def test_n7_a_vector_that_is_a_code_stops_at_once(name):
    quantizer = fitted(name)
    z = quantizer.codebook.weight.detach() * quantizer.sigma
    result = quantizer(z, threshold=0.0)
    assert result.codes[:, 0].tolist() == list(range(SIZE))
    assert (result.lengths == 1).all()
    assert result.converged.all()
    assert (result.residual_norm == 0).all()


@entries(may_refuse)
def test_n8_a_turn_that_does_not_help_emits_continue_and_adds_nothing(name):
    quantizer = fitted(name, min_gain=0.1)
    quantizer.codebook.set(3 * quantizer.codebook.weight)
    z = latents(seed=1)
    tokens = quantizer.encode(z, threshold=0.05)
    sigma, gains = quantizer.sigma.double(), quantizer.gains().detach().double()
    refused = 0
    for turn in range(quantizer.max_depth):
        left = z.double() - quantizer.decode(tokens.prefix(turn)).double()
        after = z.double() - quantizer.decode(tokens.prefix(turn + 1)).double()
        energy = (left / sigma).square().sum(dim=1)
        code = gains[turn] * quantizer.codebook.weight.double()
        best = (left.unsqueeze(1) / sigma - code).square().sum(dim=2).min(dim=1).values
        took = tokens.lengths > turn
        dummy = tokens.codes[:, turn] == CONTINUE
        assert torch.equal(left[dummy], after[dummy])
        assert (best[dummy] >= 0.9 * energy[dummy] * (1 - 1e-6)).all()
        assert (best[took & ~dummy] <= 0.9 * energy[took & ~dummy] * (1 + 1e-6)).all()
        refused += int(dummy.sum())
    assert 0 < refused < tokens.num_tokens


@entries(may_refuse)
def test_n8_the_error_never_rises_from_turn_to_turn(name):
    quantizer = fitted(name)
    z = latents(seed=1)
    errors = torch.stack(
        [quantizer(z, threshold=0.0, depth=turns).residual_norm for turns in range(DEPTH + 1)]
    )
    assert (errors.diff(dim=0) <= 0).all()
    assert (errors[-1] < errors[0]).all()


@entries()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_n9_half_precision_gives_the_codes_of_float32(name, dtype):
    quantizer = fitted(name)
    z = latents(seed=1).to(dtype)
    expected = quantizer(z.float())
    result = quantizer(z)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = quantizer(z.float())
        tokens = quantizer.encode(z)
    assert result.z_q.dtype == mixed.z_q.dtype == torch.float32
    for found in (result.tokens, mixed.tokens, tokens):
        assert_same_tokens(found, expected.tokens)
    assert torch.equal(result.z_q, expected.z_q)
    assert torch.equal(mixed.loss, expected.loss)


@entries()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("update", ["ema", "gradient"])
def test_n9_state_stays_float32_in_a_half_precision_model(name, dtype, update):
    source = fitted(name, codebook_update=update)
    model = torch.nn.Sequential(torch.nn.Linear(3, WIDTH), copy.deepcopy(source)).to(dtype)
    assert model[0].weight.dtype == dtype
    assert_same_state(state_of(source), state_of(model[1]))
    assert all(value.dtype != dtype for value in state_of(model[1]).values())
    source.train()(latents(seed=1).to(dtype).float())
    model[1].train()(latents(seed=1).to(dtype))
    assert_same_state(state_of(source), state_of(model[1]))


# Tokens


@entries()
def test_r1_decoding_gives_z_q_in_evaluation(name):
    quantizer = fitted(name)
    z = latents(seed=1).reshape(3, 10, 10, WIDTH)
    for threshold in (0.0, 0.3):
        result = quantizer(z, threshold=threshold)
        tokens = quantizer.encode(z, threshold=threshold)
        assert_same_tokens(tokens.validate(SIZE), result.tokens)
        assert torch.equal(quantizer.decode(tokens), result.z_q)
        assert (result.z_q != 0).any()


@entries()
def test_r1_decoding_gives_z_q_in_training_until_the_codes_are_updated(name):
    quantizer = make(name).train()
    quantizer.automatic_update = False
    result = quantizer(latents(seed=1))
    assert torch.equal(quantizer.decode(result.tokens), result.z_q)
    quantizer.update()
    assert not torch.equal(quantizer.decode(result.tokens), result.z_q)


@entries()
def test_r2_any_prefix_decodes(name):
    quantizer = fitted(name)
    z = latents(seed=1)
    result = quantizer(z, threshold=0.1)
    assert (quantizer.decode(result.tokens.prefix(0)) == 0).all()
    assert torch.equal(quantizer.decode(result.tokens.prefix(DEPTH)), result.z_q)
    for turns in range(DEPTH):
        prefix = result.tokens.prefix(turns)
        narrow = Tokens(prefix.codes[:, :turns], prefix.lengths)
        assert torch.equal(quantizer.decode(prefix), quantizer.decode(narrow))


@entries(may_refuse)
def test_r2_the_error_does_not_rise_with_the_prefix(name):
    quantizer = fitted(name)
    z = latents(seed=1)
    tokens = quantizer.encode(z, threshold=0.1)
    errors = torch.stack(
        [(z - quantizer.decode(tokens.prefix(n))).double().norm(dim=1) for n in range(DEPTH + 1)]
    )
    assert (errors.diff(dim=0) <= 1e-6).all()
    assert (errors[-1] < errors[0]).any()


@entries()
def test_r3_pad_decodes_to_zero(name):
    quantizer = fitted(name)
    depth = quantizer.max_depth
    empty = Tokens(torch.full((2, 3, depth), PAD), torch.zeros(2, 3, dtype=torch.int64))
    assert torch.equal(quantizer.decode(empty), torch.zeros(2, 3, WIDTH))
    dummies = Tokens(torch.full((2, depth), CONTINUE), torch.full((2,), depth))
    assert torch.equal(quantizer.decode(dummies), torch.zeros(2, WIDTH))


@entries()
@pytest.mark.parametrize("code", [-3, SIZE, 10**9])
def test_r3_an_index_out_of_range_is_a_value_error(name, code):
    quantizer = fitted(name)
    codes = torch.full((2, quantizer.max_depth), PAD)
    codes[1, 0] = code
    with pytest.raises(ValueError, match="codes must be below 16"):
        quantizer.decode(Tokens(codes, (codes != PAD).sum(dim=1)))
    with pytest.raises(ValueError, match="turns"):
        quantizer.decode(Tokens(torch.full((2, quantizer.max_depth + 1), 0), torch.tensor([7, 7])))


@entries()
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_r4_every_spelling_inverts_exactly(name, spelling):
    quantizer = fitted(name)
    z = latents(24, seed=1).reshape(4, 6, WIDTH)
    cases = {
        "random": quantizer.encode(z, threshold=0.3),
        "dummies": quantizer.encode(z, threshold=0.01),
        "empty": quantizer.encode(z[:0]),
        "all PAD": quantizer.encode(z, depth=0),
        "full": quantizer.encode(z, threshold=0.0),
    }
    assert cases["all PAD"].num_tokens == 0
    assert (cases["full"].lengths == quantizer.max_depth).all()
    for tokens in cases.values():
        symbols = spell(tokens, spelling, SIZE)
        back = unspell(symbols, spelling, SIZE, tokens.lengths.shape, tokens.max_depth)
        assert_same_tokens(back, tokens)


@entries(pulls)
@pytest.mark.parametrize("step_size", [0.1, 0.5, 0.9, 1.0])
def test_r5_the_formula_equals_the_literal_loop(name, literal_pull, step_size):
    quantizer = make(name, scale="absolute", step_size=step_size, max_depth=9).eval()
    codes = latents(SIZE, seed=2)
    quantizer.codebook.set(codes)
    z = latents(5000, seed=int(10 * step_size))
    tokens = quantizer.encode(z, threshold=0.25)
    assert torch.equal(tokens.codes, literal_pull(z, codes, 0.25, step_size, 9))
    assert len(tokens.lengths.unique()) > 1


# Settings


@pytest.mark.parametrize("scale", ["rms", "absolute"])
def test_one_turn_without_dummies_and_threshold_is_plain_vq(scale):
    settings = {"max_depth": 1, "dummies": False, "threshold": 0.0, "scale": scale}
    quantizer = fitted("loop", **settings)
    z = latents(2000, seed=1)
    expected = torch.cdist(
        z.double() / quantizer.sigma.double(),
        quantizer.codebook.weight.double(),
        compute_mode="donot_use_mm_for_euclid_dist",
    ).argmin(dim=1)
    assert torch.equal(quantizer.encode(z).codes.squeeze(1), expected)
    named = fitted("vq", scale=scale)
    assert torch.equal(named.codebook.weight, quantizer.codebook.weight)
    assert torch.equal(named.encode(z).codes.squeeze(1), expected)
    decoded = quantizer.codebook.weight[expected] * quantizer.sigma
    assert torch.equal(quantizer(z).z_q, decoded)


def test_threshold_zero_without_dummies_is_residual_vq_of_fixed_depth():
    quantizer = fitted("loop", dummies=False, threshold=0.0)
    z = latents(2000, seed=1)
    residual_left, decoded = z.double() / quantizer.sigma.double(), torch.zeros(2000, WIDTH)
    codes = []
    for gain in quantizer.gains().detach():
        book = gain * quantizer.codebook.weight
        distance = (residual_left.unsqueeze(1) - book.double()).square().sum(dim=2)
        codes.append(distance.argmin(dim=1))
        decoded = decoded + book[codes[-1]]
        summed = (decoded * quantizer.sigma).double()
        residual_left = (z.double() - summed) / quantizer.sigma.double()
    result = quantizer(z)
    assert torch.equal(result.codes, torch.stack(codes, dim=1))
    assert torch.equal(result.z_q, decoded * quantizer.sigma)
    assert_same_tokens(fitted("residual_vq").encode(z), result.tokens)


# Distributed and memory


def run_ranks(scenario, name):
    """Run `two_ranks.py` as two processes that find each other, and give what they print."""
    script = Path(__file__).with_name("two_ranks.py")
    with subprocess.Popen(
        [sys.executable, script, scenario, name],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode == 0, output
    return output


@pytest.mark.slow
@entries()
@pytest.mark.parametrize("scenario", ["uneven", "no_valid_site", "no_dead_code"])
def test_d1_ranks_stay_bit_equal(name, scenario):
    assert "equal after 20 steps" in run_ranks(scenario, name)


@pytest.mark.slow
@entries()
def test_d2_ranks_with_different_seeds_stay_bit_equal(name):
    assert "equal after 20 steps" in run_ranks("seeds", name)


@pytest.mark.slow
@entries()
def test_d3_every_mix_of_lengths_trains_in_parallel(name):
    assert "no parameter was left out" in run_ranks("mix", name)


@pytest.mark.slow
@entries()
def test_d5_the_gradient_is_that_of_the_joined_batch(name):
    assert "the same gradient" in run_ranks("joined", name)


@pytest.mark.slow
@entries()
def test_d4_evaluation_on_one_rank_issues_no_collective(name):
    assert "evaluated alone" in run_ranks("evaluation", name)


# Not getrusage: its peak is inherited from the process that started this one.
PEAK_MEMORY = """
import sys, torch
from loopyvq.quantize import QUANTIZERS

def peak_bytes():
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))

torch.manual_seed(0)
rows, size, width = 65536, 8192, 8
options = dict(codebook_size=size, codebook_dim=width, scale="absolute", max_depth=2)
torch.set_num_threads(1)
quantizer = QUANTIZERS[sys.argv[1]](**options).eval()
vectors = torch.randn(rows, width)
quantizer.encode(vectors[:64], threshold=0.5)
before = peak_bytes()
quantizer.encode(vectors, threshold=0.5)
print((peak_bytes() - before) / (rows * size))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="reads the peak from /proc")
@entries()
def test_e5_at_most_one_byte_per_pair_of_vector_and_code(name):
    command = [sys.executable, "-c", PEAK_MEMORY, name]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=250)
    assert 0 < float(run.stdout) <= 1


# Deployment

# In a process of its own: the shape checks of the tests cannot be traced.
COMPILED = """
import copy, sys, torch
from loopyvq.quantize import QUANTIZERS

torch.manual_seed(0)
options = dict(codebook_size=16, codebook_dim=4, max_depth=6, start_iterations=2, revive_below=0.9)
eager = QUANTIZERS[sys.argv[1]](codebook_update=sys.argv[2], **options).train()
loop = copy.deepcopy(eager)
optimizers = [torch.optim.SGD([p, *q.parameters()], 0.01) for q in (eager, loop)
              for p in [torch.nn.Parameter(torch.zeros(()))]]
compiled = torch.compile(loop, fullgraph=True)

def check(left, right):
    for name, one, other in zip(left._fields, left, right, strict=True):
        torch.testing.assert_close(one, other, msg=lambda text: f"{name}: {text}")
    assert torch.equal(left.codes, right.codes)
    assert torch.equal(left.z_q, right.z_q)

for step in range(11):  # the tenth revives codes
    z = torch.randn(90, 4) * torch.rand(90, 1)
    inputs = [z.clone().requires_grad_() for _ in range(2)]
    results = [run(x, threshold=0.2) for run, x in zip((eager, compiled), inputs)]
    for result in results:
        (result.loss + result.z_q.square().sum()).backward()
    check(*results)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()
    state = loop.state_dict()
    for key, value in eager.state_dict().items():
        torch.testing.assert_close(state[key], value, msg=lambda text: f"{key}: {text}")
eager.eval(), loop.eval()
for rows in (90, 40, 17):
    z = torch.randn(rows, 4)
    check(eager(z, threshold=0.2), compiled(z, threshold=0.2))
print("the same")
"""


@pytest.mark.slow
@entries()
@pytest.mark.parametrize("update", ["ema", "gradient"])
def test_e1_a_compiled_graph_without_breaks_gives_the_same(name, update):
    command = [sys.executable, "-c", COMPILED, name, update]
    run = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert run.stdout == "the same\n", run.stderr


EXPORTED = """
import sys, tempfile, torch
from loopyvq.interop.export import Decode, Encode
from loopyvq.quantize import QUANTIZERS

torch.manual_seed(0)
options = dict(codebook_size=16, codebook_dim=4, max_depth=6, start_iterations=2)
quantizer = QUANTIZERS[sys.argv[1]](**options).train()
quantizer(torch.randn(200, 4) * torch.rand(200, 1))
quantizer.eval()
z, threshold, rows = torch.randn(30, 4), torch.tensor(0.3), torch.export.Dim("rows")

def exported(module, inputs, shapes):
    with torch.no_grad():  # else switching gradients off becomes part of the program
        program = torch.export.export(module, inputs, dynamic_shapes=shapes)
    with tempfile.NamedTemporaryFile(suffix=".pt2") as file:
        torch.export.save(program, file.name)
        return torch.export.load(file.name).module()

encode = exported(Encode(quantizer), (z, threshold), ({0: rows}, None))
decode = exported(Decode(quantizer), (quantizer.encode(z).codes,), ({0: rows},))
whole = torch.export.export(quantizer, (z,), dynamic_shapes=({0: rows},)).module()
for count in (30, 1, 77):
    z = torch.randn(count, 4)
    z[0, 0] = torch.nan
    expected = quantizer.encode(z, threshold)
    codes, lengths = encode(z, threshold)
    assert torch.equal(codes, expected.codes) and torch.equal(lengths, expected.lengths)
    assert torch.equal(decode(codes), quantizer.decode(expected))
    assert torch.equal(whole(z).z_q, quantizer(z).z_q)
print("the same")
"""


@pytest.mark.slow
@entries()
def test_e2_an_exported_program_takes_any_batch(name):
    run = subprocess.run(
        [sys.executable, "-c", EXPORTED, name], capture_output=True, text=True, timeout=280
    )
    assert run.stdout == "the same\n", run.stderr


ONNX = """
import sys, tempfile, torch, onnxruntime
from loopyvq.interop.export import export_onnx
from loopyvq.quantize import QUANTIZERS

torch.manual_seed(0)
options = dict(codebook_size=16, codebook_dim=4, max_depth=6, start_iterations=2)
quantizer = QUANTIZERS[sys.argv[1]](**options).train()
quantizer(torch.randn(200, 4) * torch.rand(200, 1))
with tempfile.TemporaryDirectory() as folder:
    paths = export_onnx(quantizer.eval(), folder)
    encode, decode = (onnxruntime.InferenceSession(path) for path in paths)
for count, threshold in ((300, 0.3), (1, 0.0), (77, 1.0)):
    z = torch.randn(count, 4)
    expected = quantizer.encode(z, threshold)
    inputs = {"z_e": z.numpy(), "threshold": torch.tensor(threshold).numpy()}
    codes, lengths = encode.run(None, inputs)
    assert (codes == expected.codes.numpy()).all() and (lengths == expected.lengths.numpy()).all()
    (z_q,) = decode.run(None, {"codes": codes})
    assert (z_q == quantizer.decode(expected).numpy()).all()
print("the same")
"""


@pytest.mark.slow
@entries()
def test_e3_onnx_gives_the_same_codes(name):
    pytest.importorskip("onnxruntime")
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ONNX, name],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert run.stdout.endswith("the same\n"), run.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@entries()
def test_e4_no_turn_waits_for_the_device(name):
    quantizer = fitted(name).cuda()
    z = latents().cuda()
    quantizer.encode(z)
    torch.cuda.set_sync_debug_mode("error")
    try:
        quantizer.encode(z)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@entries()
def test_n9_a_gpu_gives_the_codes_of_the_cpu(name):
    quantizer, z = fitted(name), latents(4000, seed=1)
    expected = quantizer.encode(z, threshold=0.2)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        half = quantizer.encode(z.to(dtype), threshold=0.2) if dtype != torch.float32 else expected
        found = copy.deepcopy(quantizer).cuda().encode(z.to(dtype).cuda(), threshold=0.2)
        assert torch.equal(found.codes.cpu(), half.codes)
