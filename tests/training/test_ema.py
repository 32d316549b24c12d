import torch
from torch import nn

from loopyvq.training.ema import WeightAverage


def test_weights_follow_slowly_and_buffers_at_once():
    model = nn.BatchNorm1d(2)
    average = WeightAverage(model, decay=0.9)
    with torch.no_grad():
        model.weight.fill_(2.0)
        model.running_mean.fill_(5.0)
    average.update(model, step=1000)
    assert torch.allclose(average.model.weight, torch.full((2,), 1.1))
    assert torch.equal(average.model.running_mean, torch.full((2,), 5.0))
    assert not average.model.training
    assert not any(parameter.requires_grad for parameter in average.model.parameters())


def test_the_start_is_forgotten_quickly():
    model = nn.Linear(1, 1, bias=False)
    average = WeightAverage(model, decay=0.999)
    with torch.no_grad():
        model.weight.fill_(3.0)
    for step in range(60):
        average.update(model, step)
    assert torch.allclose(average.model.weight, torch.full((1, 1), 3.0), atol=1e-3)
