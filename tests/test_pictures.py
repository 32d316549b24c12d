import io

import pytest
import torch
from PIL import Image

from loopyvq.pictures import animation, contact_sheet, length_map, sheet, veil


def test_length_maps_run_from_dark_to_bright_at_pixel_size():
    lengths = torch.tensor([[0, 4], [8, 2]])
    picture = length_map(lengths, 8, 3)
    assert picture.shape == (3, 6, 6)
    brightness = picture.float().mean(dim=0)
    order = [brightness[0, 0], brightness[4, 4], brightness[0, 4], brightness[4, 0]]
    assert order == sorted(order)
    assert (brightness[:3, :3] == brightness[0, 0]).all()
    assert length_map(lengths * 0, 0, 1).shape == (3, 2, 2)


def test_sheets_hold_images_of_any_size_on_white():
    small = torch.zeros(1, 2, 3, dtype=torch.uint8)
    large = torch.zeros(3, 5, 4, dtype=torch.uint8)
    picture = sheet([[small, large], [small]], gap=1)
    assert picture.shape == (3, 1 + 6 + 3, 1 + 4 + 5)
    assert (picture[:, 0] == 255).all()
    assert (picture[:, 1:3, 1:4] == 0).all()
    assert int((picture[0] == 0).sum()) == 6 + 20 + 6


def test_contact_sheets_are_about_square_and_read_like_text():
    images = [torch.full((1, 2, 2), number, dtype=torch.uint8) for number in range(5)]
    picture = contact_sheet(images, gap=1)
    assert picture.shape == (3, 1 + 2 * 3, 1 + 3 * 3)
    assert picture[0, 1, 1::3].tolist() == [0, 1, 2]
    assert picture[0, 4, 1::3].tolist() == [3, 4, 255]
    assert contact_sheet(images, columns=5, gap=0).shape == (3, 2, 10)
    for wrong in ({"images": []}, {"images": images, "columns": 0}):
        with pytest.raises(ValueError, match="a sheet needs images and columns"):
            contact_sheet(**wrong)


def test_a_veil_fades_what_is_not_drawn():
    image = torch.zeros(3, 5, 7, dtype=torch.uint8)
    there = torch.tensor([[True, False], [False, True]])
    picture = veil(image, there, 4)
    assert picture.shape == (3, 5, 7)
    assert (picture[:, :4, :4] == 0).all()
    assert (picture[:, :4, 4:] > 128).all()
    assert (picture[:, 4:, 4:] == 0).all()


def test_an_animation_plays_for_ever():
    frames = [torch.full((3, 6, 8), value, dtype=torch.uint8) for value in (250, 120, 5)]
    with Image.open(io.BytesIO(animation(frames, 50, 900))) as film:
        assert film.n_frames == 3
        assert film.size == (8, 6)
        assert film.info["loop"] == 0
        assert film.info["duration"] == 50
        film.seek(2)
        assert film.info["duration"] == 900
        assert max(film.convert("RGB").getpixel((0, 0))) < 20
    with pytest.raises(ValueError, match="frames of one size"):
        animation([frames[0], frames[1][:, :3]])
