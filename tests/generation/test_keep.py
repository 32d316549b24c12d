import pytest
import torch

from loopyvq.generation.keep import REGIONS, mask_of_picture, mask_of_region


def test_parts_of_an_image():
    assert mask_of_region("left-half", (2, 4)).tolist() == [[True, True, False, False]] * 2
    assert mask_of_region("bottom-half", (4, 1)).flatten().tolist() == [False, False, True, True]
    assert mask_of_region("centre", (4, 4)).nonzero().tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
    halves = [mask_of_region(name, (5, 3)) for name in ("top-half", "bottom-half")]
    assert bool((halves[0] ^ halves[1]).all())
    assert not mask_of_region("nothing", (3, 3)).any()


def test_a_part_that_is_none_of_them():
    with pytest.raises(ValueError, match=r"there is no part 'upper'.*top-half"):
        mask_of_region("upper", (4, 4))
    assert all(len(sides) == 4 for sides in REGIONS.values())


def test_a_site_is_kept_where_the_picture_is_white_all_over():
    picture = torch.full((1, 7, 9), 255, dtype=torch.uint8)
    picture[0, 2, 5] = 127
    mask = mask_of_picture(picture, 4, (2, 3))
    assert mask.tolist() == [[True, False, True], [True, True, True]]


def test_a_picture_of_another_size():
    with pytest.raises(ValueError, match=r"as large as its image.*got 9 x 9 pixels"):
        mask_of_picture(torch.zeros(1, 9, 9, dtype=torch.uint8), 4, (2, 3))
