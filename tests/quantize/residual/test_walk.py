import pytest
import torch

from loopyvq.quantize.residual import Limits, Walk
from loopyvq.tokens import CONTINUE, PAD

GAINS = torch.tensor([1.0, 0.5, 0.25])


def on_a_line(*codes):
    return torch.tensor(codes).unsqueeze(1)


def test_a_walk_by_hand(run):
    found = run(torch.tensor([[1.75], [0.3], [0.0]]), on_a_line(1.0, -1.0), GAINS)
    # 1.75 = 1 + .5 + .25; .3 is nearer to 0 than to 1, then .3 - .5 = -.2 and -.2 + .25 = .05.
    assert found.codes.tolist() == [[0, 0, 0], [CONTINUE, 0, 1], [PAD, PAD, PAD]]
    assert found.lengths.tolist() == [3, 3, 0]
    expected = torch.tensor([[1.75, 0.75, 0.25, 0.0], [0.3, 0.3, 0.2, 0.05], [0.0] * 4]).double()
    torch.testing.assert_close(found.norms, expected, rtol=0, atol=1e-7)
    assert found.reached.tolist() == [True, False, True]


def test_without_dummies_every_turn_emits_a_code(run):
    found = run(torch.tensor([[0.3]]), on_a_line(1.0, -1.0), GAINS, dummies=False)
    assert found.codes.tolist() == [[0, 1, 1]]
    assert found.norms[0, 1] > found.norms[0, 0]


@pytest.mark.parametrize("first", [0, 1, 3])
def test_turns_before_the_first_dummy_emit_a_code(run, first):
    # .3 is nearer to 0 than to 1, and -.7 nearer to -.5 than to 0.
    found = run(torch.tensor([[0.3]]), on_a_line(1.0, -1.0), GAINS, first_dummy=first)
    assert found.codes[0].tolist() == ([0, 1, 1] if first else [CONTINUE, 0, 1])
    limits = Limits(torch.zeros(1).double(), torch.tensor([3]), first_dummy=first)
    assert [limits.may_skip(turn) for turn in range(3)] == [turn >= first for turn in range(3)]
    assert not limits._replace(dummies=False).may_skip(2)


def test_a_first_code_that_hurts_is_followed_by_dummies(run):
    # No code points back from -.9, and .1 is nearer to 0 than to .5 or .25.
    found = run(torch.tensor([[0.1], [1.1]]), on_a_line(1.0), GAINS, first_dummy=1)
    assert found.codes.tolist() == [[0, CONTINUE, CONTINUE], [0, CONTINUE, CONTINUE]]
    torch.testing.assert_close(found.norms[:, -1], torch.tensor([0.9, 0.1]).double())
    assert found.norms[0, 1] > found.norms[0, 0]


def test_the_norm_keeps_its_value_after_a_stop(run):
    found = run(torch.tensor([[1.0], [1.9]]), on_a_line(1.0, -1.0), GAINS, threshold=0.2)
    assert found.lengths.tolist() == [1, 3]
    assert found.norms[0].tolist() == [1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("min_length", [0, 1, 3])
def test_turns_that_are_asked_for_run_even_when_close(run, min_length):
    found = run(torch.tensor([[0.1]]), on_a_line(1.0), GAINS, threshold=0.5, min_length=min_length)
    assert found.codes.tolist() == [[CONTINUE] * min_length + [PAD] * (3 - min_length)]
    assert found.reached.all()


@pytest.mark.parametrize(("min_gain", "code"), [(0.0, 0), (0.7, 0), (0.8, CONTINUE)])
def test_a_code_must_remove_its_share_of_the_squared_error(run, min_gain, code):
    # 2 - 1 leaves a quarter of the squared error.
    found = run(torch.tensor([[2.0]]), on_a_line(1.0), GAINS[:1], min_gain=min_gain)
    assert found.codes.tolist() == [[code]]


def test_a_code_that_leaves_the_error_as_it_is_is_refused(run):
    found = run(torch.tensor([[0.5]]), on_a_line(1.0), GAINS[:1])
    assert found.codes.tolist() == [[CONTINUE]]


def test_each_vector_has_its_own_depth(run):
    found = run(torch.full((4, 1), 1.7), on_a_line(1.0, -1.0), GAINS, depth=[0, 1, 2, 3])
    assert found.lengths.tolist() == [0, 1, 2, 3]
    assert found.reached.tolist() == [False] * 4
    assert found.norms[2, 3] == found.norms[2, 2]


def test_the_error_is_that_of_the_rounded_sum(run):
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(50, 3, generator=generator) + 1000
    codes, gains = torch.randn(8, 3, generator=generator) * 50, torch.ones(40)
    found = run(latents, codes, gains, sigma=0.3)
    sigma, total = torch.tensor(0.3), torch.zeros(50, 3)
    for turn in range(40):
        row = found.codes[:, turn]
        total += codes[row.clamp(min=0)] * (row >= 0).unsqueeze(1)
        left = (latents.double() - (total * sigma).double()).norm(dim=1) / sigma.double()
        torch.testing.assert_close(found.norms[:, turn + 1], left, rtol=1e-12, atol=1e-12)


def test_no_vector_gives_no_token(run):
    found = run(torch.zeros(0, 1), on_a_line(1.0), GAINS)
    assert found.codes.shape == (0, 3)
    assert found.norms.shape == (0, 4)


def test_walks_join_in_order(run):
    parts = [run(torch.tensor(rows), on_a_line(1.0), GAINS) for rows in ([[1.0], [2.0]], [[0.2]])]
    joined = Walk.join(parts)
    whole = run(torch.tensor([[1.0], [2.0], [0.2]]), on_a_line(1.0), GAINS)
    for field, expected in zip(joined, whole, strict=True):
        assert torch.equal(field, expected)
