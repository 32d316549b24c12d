import torch

from loopyvq.models.encoder import Encoder


def test_one_site_per_downsampled_square():
    encoder = Encoder(3, 4, (8, 12, 16), 1, False, 5)
    assert encoder(torch.zeros(2, 3, 32, 48)).shape == (2, 5, 2, 3)


def test_every_pixel_counts():
    torch.manual_seed(0)
    encoder = Encoder(1, 2, (4, 8), 1, False, 3)
    image = torch.zeros(1, 1, 8, 8, requires_grad=True)
    encoder(image).square().sum().backward()
    assert (image.grad != 0).all()
