import pytest
import torch

from loopyvq.models.patches import PatchTransform


@pytest.mark.parametrize("channels", [1, 2, 3, 12])
@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_unfold_inverts_fold(channels, size):
    transform = PatchTransform(channels, size)
    image = torch.rand(2, channels, 16, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    frequencies = transform.fold(image)
    assert frequencies.shape == (2, channels * size**2, 16 // size, 24 // size)
    assert torch.allclose(transform.unfold(frequencies), image, atol=1e-5)


def test_a_flat_grey_image_is_one_frequency_of_unit_size():
    frequencies = PatchTransform(3, 4).fold(torch.ones(1, 3, 4, 4)).flatten()
    assert frequencies[0] == pytest.approx(3**0.5, rel=1e-5)
    assert frequencies[1:].abs().max() < 1e-4


def test_photographs_spread_their_energy_over_the_channels():
    from loopyvq.data import open_image_set, to_float

    images = open_image_set("samples")
    photograph = to_float(images.read(0))[None, :, :256, :256]
    sizes = PatchTransform(3, 4).fold(photograph).square().mean(dim=(0, 2, 3)).sqrt()
    plain = torch.nn.functional.pixel_unshuffle(photograph, 4)
    spectrum = torch.linalg.svdvals(plain[0].flatten(1))
    assert sizes.max() / sizes.min() < 0.2 * spectrum.max() / spectrum.min()


def test_nothing_of_it_is_stored():
    assert PatchTransform(3, 4).state_dict() == {}
    assert list(PatchTransform(3, 4).parameters()) == []


def test_label_maps_have_channels_of_about_unit_size():
    blocks = torch.arange(1200).view(30, 40) * 7 % 12
    labels = blocks.repeat_interleave(8, dim=0).repeat_interleave(8, dim=1)
    maps = torch.nn.functional.one_hot(labels, 12).permute(2, 0, 1)[None].float()
    frequencies = PatchTransform(12, 4).fold(maps[..., 3:, 3:][..., :232, :312])
    sizes = frequencies.square().mean(dim=(0, 2, 3)).sqrt().view(12, 4, 4)
    assert 0.5 < sizes[:, 0, 0].min() <= sizes[:, 0, 0].max() < 2
    assert sizes[:, 0, 1].mean() > 0.2
