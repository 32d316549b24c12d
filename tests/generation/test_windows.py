import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loopyvq.conditions import Condition
from loopyvq.generation.drawing import Generators
from loopyvq.generation.windows import Windows, generate_by_windows
from loopyvq.models.prior.base import Request
from loopyvq.models.prior.condition_embedding import ConditionConfig
from loopyvq.models.prior.sampling import SamplingConfig
from loopyvq.tokens import Tokens
from tests.generation.conftest import DEPTH, SIZE, make_prior

SAMPLING = SamplingConfig()


def generate(prior, request, windows=None, sampling=SAMPLING, on_site=None):
    windows = windows or Windows(4, 4, 2)
    return generate_by_windows(prior, request, windows, sampling, Generators(3), on_site)


def same(first: Tokens, second: Tokens) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.integers(1, 6),
    st.integers(1, 6),
    st.data(),
)
def test_windows_cover_every_site_and_come_in_the_order_of_reading(grid, height, width, data):
    windows = Windows(height, width, data.draw(st.integers(1, min(height, width))))
    places = windows.places(grid)
    there = torch.zeros(grid)
    for place in places:
        assert there[place].shape == (min(height, grid[0]), min(width, grid[1]))
        there[place] += 1
    assert bool((there > 0).all())
    corners = [(rows.start, columns.start) for rows, columns in places]
    assert corners == sorted(set(corners))
    ranks = windows.ranks(grid)
    assert sorted(ranks.flatten().tolist()) == list(range(grid[0] * grid[1]))


@pytest.mark.parametrize("windows", [(0, 4, 1), (4, 4, 0), (4, 4, 5), (2, 8, 4)])
def test_windows_that_leave_gaps(windows):
    with pytest.raises(ValueError, match="the stride must be within"):
        Windows(*windows).places((8, 8))


def test_the_first_window_is_plain_generation(prior):
    plain = prior.generate(Request((4, 4), 2), SAMPLING, torch.Generator().manual_seed(3))
    assert same(generate(prior, Request((4, 4), 2)), plain)
    large = generate(prior, Request((7, 9), 2))
    assert large.lengths.shape == (2, 7, 9)
    large.validate(SIZE)
    assert same(Tokens(*(item[:, :4, :4] for item in large)), plain)


class Recorder:
    """A prior that remembers what it was asked."""

    def __init__(self, prior):
        self.prior, self.asked = prior, []

    def __call__(self, tokens, condition=None, dropped=None):
        return self.prior(tokens, condition, dropped)

    def generate(self, request, sampling, generator, on_site=None):
        self.asked.append((request, sampling))
        return self.prior.generate(request, sampling, generator, on_site)


def test_later_windows_complete_what_earlier_ones_drew(prior):
    recorder = Recorder(prior)
    whole = generate(recorder, Request((4, 6), 1))
    (first, _), (second, _) = recorder.asked
    assert first.mask is None
    assert second.mask[0].tolist() == [[True, True, False, False]] * 4
    kept = Tokens(whole.codes[:, :, 2:4], whole.lengths[:, :, 2:4])
    assert same(Tokens(second.known.codes[:, :, :2], second.known.lengths[:, :, :2]), kept)


def test_a_stride_of_one_draws_one_column_at_a_time(prior):
    recorder = Recorder(prior)
    generate(recorder, Request((4, 7), 1), Windows(4, 4, 1))
    assert [int((~request.mask).sum()) for request, _ in recorder.asked[1:]] == [4, 4, 4]


def test_what_is_known_stays(prior):
    known = generate(prior, Request((6, 6), 1))
    mask = torch.zeros(1, 6, 6, dtype=torch.bool)
    mask[:, :3] = True
    recorder = Recorder(prior)
    found = generate(recorder, Request((6, 6), 1, known=known, mask=mask), sampling=SAMPLING)
    assert torch.equal(found.codes[:, :3], known.codes[:, :3])
    assert found.lengths.sum() > 0
    everything = torch.ones_like(mask)
    recorder = Recorder(prior)
    again = generate(recorder, Request((6, 6), 1, known=known, mask=everything))
    assert same(again, known)
    assert recorder.asked == []


def test_conditions_are_cut_with_the_window():
    prior = make_prior(ConditionConfig(classes=2, symbols=36, places=True))
    symbols = torch.arange(36).reshape(1, 6, 6)
    condition = Condition(
        torch.tensor([1]), symbols, torch.rand(1, 6, 6, 2, generator=torch.Generator())
    )
    recorder = Recorder(prior)
    generate(recorder, Request((6, 6), 1, condition))
    for (request, _), place in zip(recorder.asked, Windows(4, 4, 2).places((6, 6)), strict=True):
        assert request.condition.classes.tolist() == [1]
        assert torch.equal(request.condition.symbols[0], symbols[0][place])
        assert torch.equal(request.condition.places[0], condition.places[0][place])
    finer = Condition(symbols=torch.arange(144).reshape(1, 12, 12) % 36)
    generate(Recorder(prior), Request((6, 6), 1, finer))
    coarser = Condition(symbols=torch.zeros(1, 3, 3, dtype=torch.int64))
    recorder = Recorder(prior)
    generate(recorder, Request((6, 6), 1, coarser))
    assert {request.condition.symbols.shape for request, _ in recorder.asked} == {(1, 2, 2)}
    with pytest.raises(ValueError, match="cannot be cut at the sites"):
        generate(prior, Request((6, 6), 1, coarser), Windows(4, 4, 1))


def test_boxes_need_the_whole_image():
    prior = make_prior(ConditionConfig(box_classes=2))
    condition = Condition(boxes=torch.zeros(1, 1, 5, dtype=torch.int64))
    assert generate(prior, Request((4, 4), 1, condition)).lengths.shape == (1, 4, 4)
    with pytest.raises(ValueError, match="boxes belong to a whole image"):
        generate(prior, Request((4, 6), 1, condition))
    none = Condition(boxes=torch.full((1, 1, 5), -1).clamp(torch.tensor([-1, 0, 0, 0, 0])))
    assert generate(prior, Request((4, 6), 1, none)).lengths.shape == (1, 4, 6)


def test_every_window_gets_its_share_of_the_length_budget(prior):
    recorder = Recorder(prior)
    generate(recorder, Request((4, 8), 1), sampling=SamplingConfig(length_budget=60))
    assert {sampling.length_budget for _, sampling in recorder.asked} == {30}


def test_painted_lengths_are_cut():
    prior = make_prior(lengths="first")
    painted = torch.arange(24).reshape(1, 4, 6) % (DEPTH + 1)
    found = generate(prior, Request((4, 6), 1, painted=painted))
    assert torch.equal(found.lengths, painted)


def test_progress_is_told_on_the_whole_grid(prior):
    counts, last = [], []

    def on_site(count, tokens):
        counts.append(count)
        last.append(Tokens(*(item.clone() for item in tokens)))

    whole = generate(prior, Request((4, 6), 2), on_site=on_site)
    assert counts[:16] == list(range(1, 17))
    assert counts[-1] == 24
    assert counts == sorted(counts)
    assert same(last[-1], whole)
    ranks = Windows(4, 4, 2).ranks((4, 6))
    early = last[10]
    assert bool((early.lengths[:, ranks >= 11] == 0).all())
    assert torch.equal(early.lengths[:, ranks < 11], whole.lengths[:, ranks < 11])
