import pytest
import torch

from loopyvq.conditions import Condition
from loopyvq.generation.drawing import Generators, draw_in_batches
from loopyvq.generation.windows import Windows
from loopyvq.models.prior.attention import TransformerConfig
from loopyvq.models.prior.base import Request
from loopyvq.models.prior.condition_embedding import ConditionConfig
from loopyvq.models.prior.flat_tokens import FlatTokensConfig, FlatTokensPrior
from loopyvq.models.prior.sampling import SamplingConfig
from loopyvq.tokens import Tokens
from tests.generation.conftest import DEPTH, SIZE, make_prior

WINDOWS = Windows(4, 4, 2)


def drawn(prior, request, batch_size, seed=1) -> Tokens:
    batches = list(
        draw_in_batches(prior, request, WINDOWS, SamplingConfig(), seed=seed, batch_size=batch_size)
    )
    assert max(len(batch.lengths) for batch in batches) <= batch_size
    return Tokens(*(torch.cat(items) for items in zip(*batches, strict=True)))


@pytest.mark.parametrize("grid", [(4, 4), (5, 6)])
@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_images_do_not_depend_on_the_size_of_their_batch(prior, grid, batch_size):
    whole = drawn(prior, Request(grid, 7), 7)
    parts = drawn(prior, Request(grid, 7), batch_size)
    assert torch.equal(whole.codes, parts.codes)
    first = drawn(prior, Request(grid, 3), batch_size)
    assert torch.equal(whole.codes[:3], first.codes)


def test_a_window_that_one_image_knows_takes_its_numbers_all_the_same(prior):
    known = drawn(prior, Request((4, 8), 3), 3, seed=2)
    mask = torch.zeros(3, 4, 8, dtype=torch.bool)
    mask[0, :, :4] = True
    mask[1] = True
    request = Request((4, 8), 3, known=known, mask=mask)
    whole = drawn(prior, request, 3)
    assert torch.equal(whole.codes, drawn(prior, request, 1).codes)
    assert torch.equal(whole.codes[1], known.codes[1])


def test_seeds_and_images_differ(prior):
    whole = drawn(prior, Request((4, 4), 4), 4)
    assert not torch.equal(whole.codes, drawn(prior, Request((4, 4), 4), 4, seed=2).codes)
    assert len({tuple(codes.flatten().tolist()) for codes in whole.codes}) == 4


def test_every_image_keeps_its_condition():
    prior = make_prior(ConditionConfig(classes=3))
    classes = torch.tensor([0, 1, 2, 1])
    whole = drawn(prior, Request((4, 4), 4, Condition(classes)), 4)
    assert torch.equal(whole.codes, drawn(prior, Request((4, 4), 4, Condition(classes)), 3).codes)
    other = Condition(torch.tensor([2, 1, 2, 1]))
    changed = drawn(prior, Request((4, 4), 4, other), 4)
    assert not torch.equal(whole.codes[0], changed.codes[0])
    assert torch.equal(whole.codes[1:], changed.codes[1:])


def test_windows_have_numbers_of_their_own():
    generators = Generators(5)
    seeds = {generators(window).initial_seed() for window in range(100)}
    assert len(seeds) == 100
    assert Generators(5)(0).initial_seed() == 5
    assert not seeds & {Generators(6)(window).initial_seed() for window in range(100)}


def test_what_cannot_be(prior):
    with pytest.raises(ValueError, match="at least 1 image"):
        drawn(prior, Request((4, 4), 2), 0)
    with pytest.raises(ValueError, match="seed must be 0 or more"):
        drawn(prior, Request((4, 4), 2), 1, seed=-1)
    with pytest.raises(ValueError, match=r"seed must be below 2\*\*63, got 9223372036854775808"):
        Generators(1 << 63)
    assert Generators((1 << 63) - 1)(0).initial_seed() == (1 << 63) - 1


@pytest.mark.parametrize("order", ["raster", "z_curve"])
def test_a_flat_prior_draws_the_same_way(order):
    torch.manual_seed(0)
    sizes = TransformerConfig(width=16, layers=1, heads=2)
    config = FlatTokensConfig(SIZE, DEPTH, order=order, rows=4, columns=4, transformer=sizes)
    flat = FlatTokensPrior(config).eval()
    for parameter in flat.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.5)
    whole = drawn(flat, Request((4, 6), 5), 5)
    whole.validate(SIZE)
    assert torch.equal(whole.codes, drawn(flat, Request((4, 6), 5), 2).codes)
