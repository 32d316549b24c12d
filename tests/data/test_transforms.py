import pytest
import torch

from loopyvq.config import parse_config
from loopyvq.data import CropConfig, random_crop
from loopyvq.data.transforms import CropPlace, centre_place, cut, cut_labels, draw_place, middle_of
from loopyvq.errors import ConfigError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def ramp(height=200, width=300):
    """The red channel tells the column, the green one the row."""
    columns = torch.arange(width).expand(height, width)
    rows = torch.arange(height)[:, None].expand(height, width)
    return torch.stack([columns // 2, rows, torch.zeros_like(rows)]).to(torch.uint8)


@pytest.mark.parametrize("options", [{"size": 0}, {"min_scale": 0.0}, {"min_scale": 1.1}])
def test_ranges(options):
    with pytest.raises(ConfigError, match="crop"):
        CropConfig(**options)
    assert parse_config(CropConfig, {"size": 64}) == CropConfig(size=64)


def test_the_strongest_shrinking_takes_the_whole_image():
    for scale in (1e-9, 1e-320):
        places = [draw_place(20, 30, CropConfig(8, scale), seeded(seed)) for seed in range(99)]
        assert {place.side for place in places} == set(range(8, 21))


@pytest.mark.parametrize("shape", [(200, 300), (128, 128), (50, 20), (1, 1), (3000, 100)])
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_and_type(shape, channels):
    image = torch.randint(256, (channels, *shape), generator=seeded(), dtype=torch.uint8)
    for seed in range(5):
        crop = random_crop(image, CropConfig(), seeded(seed))
        assert crop.shape == (channels, 128, 128)
        assert crop.dtype == torch.uint8
        assert crop.is_contiguous()


def test_full_scale_is_a_plain_crop_anywhere():
    image, config = ramp(), CropConfig(size=64, min_scale=1.0, flip=False)
    tops, lefts = set(), set()
    for seed in range(400):
        crop = random_crop(image, config, seeded(seed))
        top = int(crop[1, 0, 0])
        lefts.add(int(crop[0, 0, 0]))
        tops.add(top)
        assert torch.equal(crop[1, :, 0], torch.arange(top, top + 64).to(torch.uint8))
    assert min(tops) <= 2
    assert max(tops) >= 134
    assert min(lefts) <= 2
    assert max(lefts) >= 116


def test_scale_bounds_what_is_seen():
    image, config = ramp(), CropConfig(size=64, min_scale=0.5, flip=False)
    heights = []
    for seed in range(200):
        rows = random_crop(image, config, seeded(seed))[1, :, 0]
        heights.append(int(rows.max()) - int(rows.min()) + 1)
    assert 62 <= min(heights) <= 70
    assert 122 <= max(heights) <= 129


def test_small_images_are_enlarged_whole():
    image = torch.zeros(1, 8, 8, dtype=torch.uint8)
    image[:, :, 4:] = 255
    crop = random_crop(image, CropConfig(size=32, flip=False), seeded())
    assert crop[0, :, :12].max() == 0
    assert crop[0, :, 20:].min() == 255


def test_flip_is_even_and_optional():
    image = torch.tensor([[[0, 255], [0, 255]]], dtype=torch.uint8)
    flipped = [
        int(random_crop(image, CropConfig(size=2), seeded(seed))[0, 0, 0]) for seed in range(200)
    ]
    assert 70 <= flipped.count(255) <= 130
    for seed in range(20):
        assert random_crop(image, CropConfig(size=2, flip=False), seeded(seed))[0, 0, 0] == 0


def test_deterministic_and_the_image_stays_untouched():
    image = ramp()
    before = image.clone()
    crops = [random_crop(image, CropConfig(), seeded(5)) for _ in range(2)]
    assert torch.equal(*crops)
    crops[0].fill_(7)
    random_crop(image, CropConfig(min_scale=1.0, flip=False), seeded()).fill_(7)
    assert torch.equal(image, before)


def test_labels_are_cut_where_images_are():
    labels = torch.arange(200, dtype=torch.uint8)[:, None].repeat(1, 250)
    labels[:, 125:] = 255 - labels[:, 125:]
    for seed in range(20):
        place = draw_place(200, 250, CropConfig(size=64, min_scale=1.0), seeded(seed))
        assert torch.equal(cut_labels(labels, place, 64), cut(labels[None], place, 64)[0])
        # At other sizes nothing is interpolated: every value is one of the square's own.
        place = draw_place(200, 250, CropConfig(size=40, min_scale=0.3), seeded(seed))
        square = labels[place.top :, place.left :][: place.side, : place.side]
        found = cut_labels(labels, place, 40)
        assert found.shape == (40, 40)
        assert set(found.unique().tolist()) <= set(square.unique().tolist())


@pytest.mark.parametrize(("side", "size"), [(9, 3), (3, 9), (10, 4), (7, 5), (1, 4), (6, 1)])
def test_the_nearest_label_is_the_one_at_the_middle(side, size):
    labels = torch.arange(side * side).view(side, side)
    found = cut_labels(labels.to(torch.uint8), CropPlace(0, 0, side), size)
    middles = ((torch.arange(size, dtype=torch.float64) + 0.5) * side / size).floor().long()
    assert torch.equal(found.long(), labels[middles][:, middles])


def test_a_mirrored_place_mirrors():
    labels = torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8)
    assert cut_labels(labels, CropPlace(0, 0, 2, mirrored=True), 2).tolist() == [[2, 1], [4, 3]]
    assert cut(labels[None], CropPlace(0, 0, 2, True), 2)[0].tolist() == [[2, 1], [4, 3]]


def test_the_centre_is_the_largest_square_in_the_middle():
    assert centre_place(5, 9) == (0, 2, 5, False)
    assert centre_place(9, 4) == (2, 0, 4, False)


def test_large_images_are_cut_to_their_middle():
    image = (torch.arange(1100) % 251).to(torch.uint8).expand(3, 40, 1100)
    middle = middle_of(image, 1024)
    assert middle.shape == (3, 40, 1024)
    assert torch.equal(middle, image[:, :, 38:1062])
    assert torch.equal(middle_of(image[:, :, :900], 1024), image[:, :, :900])
