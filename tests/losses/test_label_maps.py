import math

import torch

from loopyvq.losses.label_maps import label_map_loss


def test_it_is_its_formula():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    maps = torch.randint(2, (2, 3, 4, 5), generator=generator).double()
    share = 1 / (1 + (-logits).exp())
    expected = -(maps * share.log() + (1 - maps) * (1 - share).log()).mean()
    assert torch.allclose(label_map_loss(logits, maps).double(), expected, atol=1e-6)


def test_certain_labels():
    maps = torch.tensor([[[[1.0]], [[0.0]]]])
    assert label_map_loss(200 * maps - 100, maps) < 1e-30
    assert label_map_loss(100 - 200 * maps, maps) == 100
    assert math.isclose(label_map_loss(0 * maps, maps), math.log(2), rel_tol=1e-6)


def test_float32_under_autocast():
    logits = torch.ones(1, 1, 2, 2, dtype=torch.bfloat16)
    assert label_map_loss(logits, torch.ones(1, 1, 2, 2)).dtype == torch.float32
