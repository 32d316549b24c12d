import torch

from loopyvq.models.prior.rotary import Rotary, rotate


def test_it_is_the_rotation_of_every_pair_of_channels():
    heads, positions = torch.randn(1, 1, 3, 6, dtype=torch.float64), torch.tensor([0, 2, 5])
    turned = rotate(heads, Rotary.at(positions, 6, torch.float64))
    for row, position in enumerate(positions.tolist()):
        for pair in range(3):
            angle = torch.tensor(position * 10_000 ** (-2 * pair / 6), dtype=torch.float64)
            x, y = heads[0, 0, row, pair], heads[0, 0, row, pair + 3]
            expected = (x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos())
            found = turned[0, 0, row, [pair, pair + 3]]
            assert torch.allclose(found, torch.stack(expected), atol=1e-6)


def test_norms_stay():
    heads = torch.randn(2, 3, 4, 8)
    turned = rotate(heads, Rotary.at(torch.arange(4), 8, torch.float32))
    assert torch.allclose(turned.norm(dim=3), heads.norm(dim=3), atol=1e-5)
