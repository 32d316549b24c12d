import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loopyvq.models.prior.length_budget import LengthBudget


@settings(max_examples=60, deadline=None)
@given(st.floats(-3, 3), st.floats(0.1, 6), st.integers(100, 600), st.integers(0, 10**6))
@example(odds=-3.0, mean=5.0, sites=100, seed=0)
def test_a_prior_of_any_habit_is_brought_near_the_budget(odds, mean, sites, seed):
    """A site goes on with fixed log-odds plus what the budget adds, eight times at most."""
    wanted = round(mean * sites)
    budget = LengthBudget(wanted, sites)
    generator = torch.Generator().manual_seed(seed)
    chances = torch.rand(sites, 8, generator=generator)
    spent = 0
    for site in range(sites):
        goes_on = torch.sigmoid(torch.tensor(odds + budget.eagerness))
        length = int((chances[site] < goes_on).long().cumprod(0).sum())
        spent += length
        budget.spend(length)
    assert abs(spent - wanted) <= 0.06 * wanted + 16


@pytest.mark.parametrize(("length", "sign"), [(8, -1), (0, 1)])
def test_too_many_lower_the_odds_and_too_few_raise_them(length, sign):
    budget = LengthBudget(100, 50)
    assert budget.eagerness == 0
    budget.spend(length)
    assert budget.eagerness * sign > 0


def test_the_last_site_needs_no_odds():
    budget = LengthBudget(1, 1)
    budget.spend(1)
    assert budget.eagerness == 0
