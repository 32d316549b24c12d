import pytest
import torch

from loopyvq.config import config_to_dict, parse_config
from loopyvq.data import (
    BoxConfig,
    ConditionDataConfig,
    boxes_of,
    condition_of,
    sample_of,
    to_float,
)
from loopyvq.data.transforms import CropPlace, cut, cut_labels
from loopyvq.errors import ConfigError

IMAGE = torch.randint(256, (3, 20, 30), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
PLANE = (torch.arange(20)[:, None] * 7 + torch.arange(30)).to(torch.uint8) % 13
PLACES = [CropPlace(3, 5, 8), CropPlace(3, 5, 8, True), CropPlace(2, 9, 16), CropPlace(0, 0, 5)]


def of(kind, **options):
    if kind in ("segmentation", "boxes", "depth"):
        options = {"half": "right", **options}
    return ConditionDataConfig(kind=kind, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "segmentation"}, "needs either maps"),
        ({"kind": "boxes"}, "boxes needs either maps"),
        ({"kind": "depth", "maps": "x", "half": "left"}, "give one of both"),
        ({"factor": 0}, "factor"),
        ({"edge_sigma": 0.0}, "edge_sigma"),
        ({"edge_sigma": float("nan")}, "edge_sigma"),
    ],
)
def test_ranges(options, message):
    with pytest.raises(ConfigError, match=message):
        ConditionDataConfig(**options)


def test_the_config_is_read_from_words_and_written():
    words = ["--kind", "segmentation", "--half", "right", "--labels.num_labels", "12"]
    config = parse_config(ConditionDataConfig, {}, words)
    assert config.labels.num_labels == 12
    assert parse_config(ConditionDataConfig, config_to_dict(config)) == config


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("config", "shape", "dtype"),
    [
        (of("none"), (0,), torch.int64),
        (of("class"), (), torch.int64),
        (of("segmentation"), (8, 8), torch.int64),
        (of("boxes"), (16, 5), torch.int64),
        (of("depth"), (1, 8, 8), torch.float32),
        (of("edges"), (1, 8, 8), torch.float32),
        (of("low_resolution", factor=2), (3, 8, 8), torch.float32),
        (of("low_resolution", factor=2, enlarge=False), (3, 4, 4), torch.float32),
        (of("coordinates"), (2, 8, 8), torch.float32),
        (of("coordinates", places="index"), (1, 8, 8), torch.float32),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_shapes_and_the_image_is_always_the_same(config, shape, dtype, place):
    planes = torch.cat([IMAGE, PLANE[None]]) if config.has_maps else IMAGE
    sample = sample_of(planes, place, 8, config, label=4)
    assert torch.equal(sample.image, to_float(cut(IMAGE, place, 8)))
    assert sample.condition.shape == shape
    assert sample.condition.dtype == dtype
    if config.kind == "class":
        assert sample.condition.item() == 4


@pytest.mark.parametrize("place", PLACES[:2])
def test_maps_are_cut_with_the_image(place):
    """The image is its own map, so at native resolution both must stay equal."""
    grey = torch.cat([PLANE[None], PLANE[None]])
    for kind in ("segmentation", "depth"):
        image, condition = sample_of(grey, place, 8, of(kind))
        if kind == "segmentation":
            condition = to_float(condition[None].to(torch.uint8))
        assert torch.equal(condition[0], image[0])


@pytest.mark.parametrize("place", PLACES)
def test_boxes_are_those_of_the_crop_and_not_of_the_whole_map(place):
    config = of("boxes", boxes=BoxConfig(num_boxes=70, bins=8))
    found = sample_of(torch.cat([IMAGE, PLANE[None]]), place, 8, config).condition
    assert torch.equal(found, boxes_of(cut_labels(PLANE, place, 8), config.boxes))
    assert found[0, 0] >= 0


def test_made_of_the_crop_itself():
    place = PLACES[1]
    for config in (of("edges"), of("low_resolution")):
        sample = sample_of(IMAGE, place, 8, config)
        assert torch.equal(sample.condition, condition_of(cut(IMAGE, place, 8), config))


def test_low_resolution_is_the_mean_of_blocks():
    image = torch.tensor([[0, 100, 9, 9], [100, 0, 9, 9], [4, 4, 0, 0], [4, 4, 0, 0]])
    small = condition_of(image[None].to(torch.uint8), of("low_resolution", factor=2, enlarge=False))
    assert torch.equal(small, to_float(torch.tensor([[[50, 9], [4, 0]]]).to(torch.uint8)))
    tiny = condition_of(image[None].to(torch.uint8), of("low_resolution", factor=9, enlarge=False))
    assert tiny.shape == (1, 1, 1)


def test_what_cannot_be_made():
    with pytest.raises(ValueError, match="class is not made of the image's own pixels"):
        condition_of(IMAGE, of("class"))
    with pytest.raises(ValueError, match="needs the class of the image"):
        sample_of(IMAGE, PLACES[0], 8, of("class"))
