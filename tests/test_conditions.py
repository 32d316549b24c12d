import torch

from loopyvq.conditions import Condition


def test_all_conditions_follow_a_selection():
    condition = Condition(
        torch.arange(3), torch.arange(12).reshape(3, 2, 2), torch.rand(3, 2, 2, 2), None
    )
    chosen = condition.select(torch.tensor([2, 0, 2]))
    assert chosen.classes.tolist() == [2, 0, 2]
    assert torch.equal(chosen.symbols[1], condition.symbols[0])
    assert torch.equal(chosen.places[0], condition.places[2])
    assert chosen.boxes is None
    assert chosen.batch == 3


def test_nothing_known_fits_any_batch():
    assert Condition().batch is None
    assert Condition().select(torch.tensor([0, 1])) == Condition()
    assert Condition().to("cpu") == Condition()
