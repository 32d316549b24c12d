import inspect

import pytest
import torch

from loopyvq.quantize.sites import flatten_sites, limits_of_sites


def test_sites_become_rows_in_order():
    z = torch.arange(24.0).reshape(2, 3, 4)
    rows, valid = flatten_sites(z, None)
    assert torch.equal(rows, z.reshape(6, 4))
    assert valid.all()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_rows_are_at_least_float32(given, kept):
    assert flatten_sites(torch.ones(3, 2, dtype=given), None)[0].dtype == kept


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_rows_that_are_not_finite_do_not_count_and_are_zero(bad, place):
    z = torch.ones(2, 4, 3)
    z[1, 2, place] = bad
    rows, valid = flatten_sites(z, None)
    assert valid.tolist() == [True] * 6 + [False, True]
    assert torch.equal(rows, torch.ones(8, 3) * valid.unsqueeze(1))
    assert z[1, 2, place] != 1  # what came is not written to


def test_all_kinds_of_bad_values_in_one_row():
    rows, valid = flatten_sites(
        torch.tensor([[torch.inf, -torch.inf], [torch.nan, torch.inf]]), None
    )
    assert not valid.any()
    assert (rows == 0).all()


def test_a_mask_and_bad_rows_count_together():
    z = torch.ones(2, 3, 2, requires_grad=True)
    bad = z.detach().clone()
    bad[0, 1] = torch.nan
    mask = torch.tensor([[True, True, False], [False, True, True]])
    rows, valid = flatten_sites(bad.requires_grad_(), mask)
    assert valid.tolist() == [True, False, False, False, True, True]
    rows.sum().backward()
    assert torch.equal(bad.grad[..., 0] == 1, valid.reshape(2, 3))
    assert (bad.grad[~valid.reshape(2, 3)] == 0).all()


def test_a_mask_may_broadcast():
    _, valid = flatten_sites(torch.ones(2, 3, 2), torch.tensor([[True], [False]]).expand(2, 3))
    assert valid.tolist() == [True] * 3 + [False] * 3


@pytest.mark.parametrize("shape", [(0, 4), (2, 0, 4), (4,)])
def test_no_site_and_one_site(shape):
    rows, valid = flatten_sites(torch.ones(shape), None)
    assert rows.shape == (len(valid), 4)
    assert len(valid) == torch.ones(shape)[..., 0].numel()


def limits(threshold, depth, sites=(2, 3), invalid=()):
    valid = torch.ones(torch.Size(sites).numel(), dtype=torch.bool)
    valid[list(invalid)] = False
    return limits_of_sites(torch.Size(sites), threshold, depth, valid)


def test_numbers_hold_for_every_site():
    found = limits(0.5, 4)
    assert found.threshold.tolist() == [0.5] * 6
    assert found.threshold.dtype == torch.float64
    assert found.depth.tolist() == [4] * 6
    assert found[2:] == (0, 0.0, True, 0)


def test_thresholds_and_depths_per_site():
    found = limits(torch.tensor([0.0, 1.0, torch.inf]), torch.tensor([[1], [2]]))
    assert found.threshold.tolist() == [0.0, 1.0, torch.inf] * 2
    assert found.depth.tolist() == [1, 1, 1, 2, 2, 2]


def test_a_threshold_keeps_the_precision_it_came_in():
    assert limits(0.1, 1).threshold[0] == 0.1
    assert limits(torch.tensor(0.1), 1).threshold[0] == torch.tensor(0.1).double()


def test_sites_that_do_not_count_get_no_turn():
    assert limits(0.5, 3, invalid=(1, 4)).depth.tolist() == [3, 0, 3, 3, 0, 3]


@pytest.mark.parametrize(
    "bad", [-0.1, -torch.inf, torch.nan, torch.tensor([0.1, 0.2, -1e-9]), torch.tensor(torch.nan)]
)
def test_thresholds_below_zero_or_not_a_number_are_refused(bad):
    with pytest.raises(ValueError, match="threshold must be 0 or more, got"):
        limits(bad, 3)


@pytest.mark.parametrize("bad", [-1, torch.tensor([1, 2, -1])])
def test_depths_below_zero_are_refused(bad):
    with pytest.raises(ValueError, match="depth must be 0 or more, got"):
        limits(0.5, bad)


def test_what_does_not_broadcast_is_refused():
    with pytest.raises(RuntimeError, match="expand"):
        limits(torch.zeros(4), 3)


# Tests check types as well, a program does not: what would be taken for something else is refused.
@pytest.mark.parametrize("depth", [2.5, 2.0, torch.tensor([1.0, 2.0])])
def test_a_depth_counts_turns(depth):
    limits = inspect.unwrap(limits_of_sites)
    with pytest.raises(ValueError, match="depth must be a number of turns"):
        limits(torch.Size([2]), 0.1, depth, torch.ones(2, dtype=torch.bool))


def test_a_mask_holds_truth_values():
    with pytest.raises(ValueError, match="mask must hold truth values"):
        inspect.unwrap(flatten_sites)(torch.zeros(2, 4), torch.ones(2))
