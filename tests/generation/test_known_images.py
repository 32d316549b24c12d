import pytest
import torch

from loopyvq.data import ConditionDataConfig, LabelMapConfig, Sample, to_pil
from loopyvq.data.coordinates import row_and_column
from loopyvq.data.token_source import TokenSource
from loopyvq.data.transforms import CropPlace
from loopyvq.errors import ConfigError, DataError
from loopyvq.generation.image_prior import ImagePrior
from loopyvq.generation.known_images import (
    classes_in_turn,
    lengths_of_picture,
    maps_of_images,
    places_of,
)
from loopyvq.models import Tokenizer
from loopyvq.pretokenize import Known, KnownConfig


def test_classes_come_in_turn():
    source = TokenSource(classes=3, condition="class")
    assert classes_in_turn(source, 5).classes.tolist() == [0, 1, 2, 0, 1]
    chosen = torch.tensor([2, 1])
    assert classes_in_turn(source, 3, chosen).classes.tolist() == [2, 1, 2]
    assert classes_in_turn(TokenSource(), 3).classes is None


def test_places_are_the_middles_of_the_sites_of_the_whole_image():
    places = places_of((32, 16), 8, 3)
    assert places.shape == (3, 4, 2, 2)
    assert places[2, 3, 0].tolist() == [0.875, 0.25]


@pytest.mark.parametrize("side", [32, 36, 39, 5])
def test_places_are_told_at_drawing_as_at_training(side):
    planes = row_and_column(side, side, CropPlace(0, 0, side), side).unsqueeze(0)
    known = Known(KnownConfig(ConditionDataConfig("coordinates")), 8)
    told = known(Sample(torch.zeros(1, 3, side, side), planes)).places
    drawn = places_of((side, side), 8, 1)
    assert torch.allclose(told, drawn, atol=1e-6)
    last = torch.arange(side // 8 * 8 if side % 8 else side - 8, side)
    assert float(drawn[0, -1, 0, 0]) == pytest.approx(float((last + 0.5).mean()) / side)


def test_a_grey_picture_says_where_detail_goes():
    picture = torch.zeros(1, 8, 12, dtype=torch.uint8)
    picture[:, :4] = 255
    source = TokenSource(min_length=1, max_depth=5)
    lengths = lengths_of_picture(picture, source, (2, 3), 4)
    assert lengths.tolist() == [[[5, 5, 5], [1, 1, 1]]] * 4


@pytest.fixture
def maps(tmp_path):
    """Label maps alone: two of them, in grey levels 0 to 2."""
    for number in range(2):
        labels = torch.zeros(1, 16, 16, dtype=torch.uint8)
        labels[:, 8:] = number + 1
        to_pil(labels).save(tmp_path / f"{number}.png")
    return tmp_path


def test_maps_tell_every_image_its_condition(prior, tiny_config, maps):
    model = ImagePrior(prior, Tokenizer(tiny_config).eval(), TokenSource(symbols=3))
    labels = LabelMapConfig(num_labels=3)
    data = ConditionDataConfig("segmentation", maps=str(maps), labels=labels)
    told = maps_of_images(maps, KnownConfig(data), model, (16, 16), 3)
    assert told.symbols.tolist() == [[[0, 0], [1, 1]], [[0, 0], [2, 2]], [[0, 0], [1, 1]]]
    finer = maps_of_images(maps, KnownConfig(data, cells=2), model, (32, 32), 1)
    assert finer.symbols.shape == (1, 8, 8)
    with pytest.raises(DataError, match="draw squares, not 16 x 24"):
        maps_of_images(maps, KnownConfig(data), model, (16, 24), 1)


def test_maps_that_the_prior_was_not_trained_on_are_refused(prior, tiny_config, maps):
    model = ImagePrior(
        prior, Tokenizer(tiny_config).eval(), TokenSource(condition="segmentation", symbols=5)
    )
    labels = LabelMapConfig(num_labels=3)
    data = ConditionDataConfig("segmentation", maps=str(maps), labels=labels)
    with pytest.raises(ConfigError, match="knows 5 symbols of segmentation, these maps have 3"):
        maps_of_images(maps, KnownConfig(data), model, (16, 16), 1)
