import pytest
import torch

from loopyvq.quantize.gains import Gains


@pytest.mark.parametrize("learned", [True, False])
def test_gains_start_geometric(learned):
    gains = Gains(4, 0.5, learned)
    torch.testing.assert_close(gains(), torch.tensor([1.0, 0.5, 0.25, 0.125]))
    assert len(list(gains.parameters())) == int(learned)


@pytest.mark.parametrize("learned", [True, False])
def test_one_turn_has_gain_one(learned):
    assert Gains(1, 0.75, learned)().tolist() == [1.0]


def test_a_ratio_of_one_stays_one_where_it_is_not_learned():
    assert Gains(3, 1.0, learned=False)().tolist() == [1.0, 1.0, 1.0]


def test_learned_gains_fall_whatever_the_parameters_are():
    gains = Gains(5, 1.0, learned=True)
    with torch.no_grad():
        gains.logits.copy_(torch.tensor([-3.0, 0.0, 2.0, 5.0]))
    assert (gains().diff() < 0).all()
    assert (gains() > 0).all()
    gains().sum().backward()
    assert (gains.logits.grad != 0).all()


def test_learned_gains_take_over_those_of_a_fit():
    gains = Gains(4, 0.75, learned=True)
    gains.set(torch.tensor([1.0, 0.6, 0.3, 0.27]))
    torch.testing.assert_close(gains(), torch.tensor([1.0, 0.6, 0.3, 0.27]))
    gains.set(torch.tensor([2.0, 1.0, 3.0, 0.5]))  # scaled to 1 and never rising
    torch.testing.assert_close(gains(), torch.tensor([1.0, 0.5, 0.5, 0.25]), rtol=1e-3, atol=0)


def test_fixed_gains_take_over_those_of_a_fit_as_well():
    gains = Gains(3, 0.75, learned=False)
    gains.set(torch.tensor([2.0, 2.0, 0.02]))
    torch.testing.assert_close(gains(), torch.tensor([1.0, 1.0, 0.01]))
    assert not list(gains.parameters())
