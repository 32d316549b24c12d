import pytest
import torch

from loopyvq.data.coordinates import pixel_index, row_and_column
from loopyvq.data.transforms import CropPlace, centre_place


def test_the_whole_image_has_all_places():
    planes = row_and_column(8, 8, CropPlace(0, 0, 8), 8)
    steps = (torch.arange(8) + 0.5) / 8
    assert torch.allclose(planes[0], steps[:, None].expand(8, 8))
    assert torch.allclose(planes[1], steps.expand(8, 8))
    index = pixel_index(8, 8, CropPlace(0, 0, 8), 8)
    assert torch.equal(index.flatten() * 64, torch.arange(64.0))


def test_crops_see_their_part_of_the_whole():
    whole = row_and_column(12, 12, centre_place(12, 12), 12)
    part = row_and_column(12, 12, CropPlace(3, 5, 4), 4)
    assert torch.allclose(part, whole[:, 3:7, 5:9])
    # taming numbers the pixels of the whole image, then crops: not square, at native resolution.
    numbers = torch.arange(6 * 9.0).view(6, 9) / 54
    assert torch.allclose(pixel_index(6, 9, CropPlace(1, 4, 3), 3)[0], numbers[1:4, 4:7])


@pytest.mark.parametrize("planes", [row_and_column, pixel_index])
def test_a_mirrored_crop_is_one_of_the_mirrored_image(planes):
    mirrored = planes(6, 10, CropPlace(1, 2, 4, mirrored=True), 4)
    assert torch.allclose(mirrored, planes(6, 10, CropPlace(1, 4, 4), 4))


@pytest.mark.parametrize("planes", [row_and_column, pixel_index])
@pytest.mark.parametrize(
    "place", [CropPlace(7, 0, 93), CropPlace(0, 200, 100), CropPlace(99, 9, 1)]
)
@pytest.mark.parametrize("size", [1, 16, 250])
def test_range_and_order_at_any_scale(planes, place, size):
    found = planes(100, 300, place, size)
    assert found.shape[1:] == (size, size)
    assert found.min() >= 0
    assert found.max() < 1
    # An index counts more pixels than float32 can tell apart where one pixel becomes thousands.
    assert (found[0].diff(dim=0) >= 0).all()
    assert (found[-1].diff(dim=1) >= 0).all()
    if size == 16 and place.side > 1:
        assert (found[0].diff(dim=0) > 0).all()
        assert (found[-1].diff(dim=1) > 0).all()
