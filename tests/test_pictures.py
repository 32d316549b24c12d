import torch

from loopyvq.pictures import length_map, overlay, sheet


def test_length_maps_run_from_dark_to_bright_at_pixel_size():
    lengths = torch.tensor([[0, 4], [8, 2]])
    picture = length_map(lengths, 8, 3)
    assert picture.shape == (3, 6, 6)
    brightness = picture.float().mean(dim=0)
    order = [brightness[0, 0], brightness[4, 4], brightness[0, 4], brightness[4, 0]]
    assert order == sorted(order)
    assert (brightness[:3, :3] == brightness[0, 0]).all()
    assert length_map(lengths * 0, 0, 1).shape == (3, 2, 2)


def test_overlays_mix_and_fit_the_image():
    image = torch.full((1, 5, 7), 100, dtype=torch.uint8)
    cover = torch.full((3, 8, 8), 200, dtype=torch.uint8)
    assert overlay(image, cover, 0.5).shape == (3, 5, 7)
    assert (overlay(image, cover, 0.25) == 125).all()


def test_sheets_hold_images_of_any_size_on_white():
    small = torch.zeros(1, 2, 3, dtype=torch.uint8)
    large = torch.zeros(3, 5, 4, dtype=torch.uint8)
    picture = sheet([[small, large], [small]], gap=1)
    assert picture.shape == (3, 1 + 6 + 3, 1 + 4 + 5)
    assert (picture[:, 0] == 255).all()
    assert (picture[:, 1:3, 1:4] == 0).all()
    assert int((picture[0] == 0).sum()) == 6 + 20 + 6
