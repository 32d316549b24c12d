import pytest
import torch

from loopyvq.quantize.length_curve import LengthCurve
from loopyvq.quantize.stop import threshold_lengths


def lengths(curve, norms):
    """Lengths of some walks at the curve's thresholds; the error after the last turn is nothing."""
    whole = torch.cat([norms, torch.zeros(len(norms), 1)], dim=1)
    return threshold_lengths(whole, curve.thresholds.unsqueeze(0), 0)


def errors(rows=500, turns=6):
    """Errors before each turn that fall by a random factor each time."""
    generator = torch.Generator().manual_seed(0)
    factors = 0.4 + 0.5 * torch.rand(rows, turns, generator=generator)
    return factors.cumprod(dim=1)


def mean_length(norms, threshold):
    """Count the turns until the error is first within the threshold."""
    return (norms.cummin(dim=1).values > threshold).double().sum(dim=1).mean()


@pytest.mark.parametrize("wanted", [0.5, 1.0, 2.5, 4.0, 5.5])
def test_a_threshold_costs_what_the_curve_says(wanted):
    curve, norms = LengthCurve(6, 0.9), errors()
    curve.collect(lengths(curve, norms))
    curve.update()
    threshold = curve.threshold_for(torch.tensor(wanted))
    assert mean_length(norms, threshold) == pytest.approx(wanted, abs=0.15)


def test_longer_wants_smaller_and_the_ends_hold():
    curve = LengthCurve(6, 0.9)
    curve.collect(lengths(curve, errors()))
    curve.update()
    thresholds = curve.threshold_for(torch.linspace(-1, 9, 41).reshape(1, 41))
    assert thresholds.shape == (1, 41)
    assert (thresholds.diff() <= 0).all()
    assert thresholds.max() <= 3.0 * 1.0001
    assert thresholds.min() >= 0.003 * 0.9999


def test_an_error_that_rises_again_does_not_lengthen():
    curve, again = LengthCurve(3, 0.9), LengthCurve(3, 0.9)
    curve.collect(lengths(curve, torch.tensor([[1.0, 0.1, 0.9]])))
    again.collect(lengths(again, torch.tensor([[1.0, 0.1, 0.1]])))
    assert torch.equal(curve.pending, again.pending)


def test_the_first_update_goes_all_the_way_and_later_ones_a_part():
    curve = LengthCurve(2, 0.75)
    curve.collect(lengths(curve, torch.full((4, 2), 10.0)))
    curve.update()
    assert (curve.mean_lengths == 2).all()
    curve.collect(lengths(curve, torch.zeros(4, 2)))
    curve.update()
    assert (curve.mean_lengths == 1.5).all()


def test_no_walk_changes_nothing():
    curve = LengthCurve(4, 0.9)
    before = curve.mean_lengths.clone()
    curve.collect(lengths(curve, torch.zeros(0, 4)))
    curve.update()
    assert torch.equal(curve.mean_lengths, before)
    assert not curve.started
