import dataclasses

import pytest
import torch

from loopyvq.data import ConditionDataConfig, LabelMapConfig, Sample, open_image_set
from loopyvq.data.token_source import ConditionSource, TokenSource
from loopyvq.errors import ConfigError
from loopyvq.models import Tokenizer
from loopyvq.pretokenize import Known, KnownConfig
from loopyvq.tokens import CONTINUE, PAD

LABELS = ConditionDataConfig(kind="segmentation", half="right", labels=LabelMapConfig(num_labels=5))


def sample(condition, size=16):
    return Sample(torch.zeros(len(condition), 3, size, size), condition)


def test_nothing_and_classes_are_told_as_they_are(pictures):
    images = open_image_set(pictures)
    nothing = Known(KnownConfig(), 8)
    assert nothing(sample(torch.empty(2, 0))).batch is None
    assert (nothing.num_classes(images), nothing.num_symbols) == (0, 0)
    classes = Known(KnownConfig(ConditionDataConfig(kind="class")), 8)
    assert classes(sample(torch.tensor([1, 0]))).classes.tolist() == [1, 0]
    assert classes.num_classes(images) == 2


def test_coordinates_are_the_means_of_sites():
    known = Known(KnownConfig(ConditionDataConfig(kind="coordinates")), 8)
    rows = torch.linspace(0, 1, 16)[:, None].expand(16, 16)
    planes = torch.stack([rows, rows.T])[None]
    places = known(sample(planes)).places
    assert places.shape == (1, 2, 2, 2)
    assert torch.allclose(places[0, :, 0, 0], rows[:, 0].view(2, 8).mean(dim=1))
    assert torch.allclose(places[0, 0, :, 1], rows[:, 0].view(2, 8).mean(dim=1))


def test_the_most_frequent_label_of_a_cell_counts():
    labels = torch.zeros(1, 16, 16, dtype=torch.int64)
    labels[0, :8, 8:] = 3
    labels[0, 8:, :8] = torch.where(torch.arange(8) < 5, 4, 1)
    labels[0, 12:, 12:] = 2
    coarse = Known(KnownConfig(LABELS), 8)
    assert coarse(sample(labels)).symbols.tolist() == [[[0, 3], [4, 0]]]
    assert coarse.num_symbols == 5
    fine = Known(KnownConfig(LABELS, cells=2), 8)
    assert fine(sample(labels)).symbols[0, 3].tolist() == [4, 1, 0, 2]
    beyond = Known(KnownConfig(LABELS), 8)(sample(labels[:, :12, :12], 12)).symbols
    assert beyond.shape == (1, 2, 2)
    with pytest.raises(ConfigError, match="choose a divisor"):
        Known(KnownConfig(LABELS, cells=3), 8)


def test_boxes_are_told_as_they_are():
    known = Known(KnownConfig(dataclasses.replace(LABELS, kind="boxes")), 8)
    boxes = torch.tensor([[[4, 0, 0, 63, 63], [-1, 0, 0, 0, 0]]])
    assert torch.equal(known(sample(boxes)).boxes, boxes)
    assert (known.num_box_classes, known.num_symbols) == (5, 0)
    assert Known(KnownConfig(LABELS), 8).num_box_classes == 0


def test_other_conditions_are_told_in_codes(tiny_config):
    torch.manual_seed(0)
    second = Tokenizer(dataclasses.replace(tiny_config, image_channels=1)).eval()
    config = KnownConfig(ConditionDataConfig(kind="edges"), tokenizer="model")
    known = Known(config, 8, second)
    planes = torch.rand(2, 1, 16, 16) * 2 - 1
    symbols = known(sample(planes)).symbols
    codes = second.encode(planes, depth=1).codes[..., 0]
    assert symbols.shape == (2, 2, 2)
    assert torch.equal(symbols, torch.where((codes == PAD) | (codes == CONTINUE), 16, codes))
    assert known.num_symbols == 17


def test_what_does_not_go_together_is_refused(tiny_config):
    with pytest.raises(ConfigError, match="edges must be told in codes"):
        KnownConfig(ConditionDataConfig(kind="edges"))
    with pytest.raises(ConfigError, match="class is told as it is"):
        KnownConfig(ConditionDataConfig(kind="class"), tokenizer="model")
    with pytest.raises(ConfigError, match="boxes is told as it is"):
        KnownConfig(dataclasses.replace(LABELS, kind="boxes"), tokenizer="model")
    with pytest.raises(ConfigError, match="as row_column"):
        KnownConfig(ConditionDataConfig(kind="coordinates", places="index"))
    with pytest.raises(ConfigError, match="cells"):
        KnownConfig(cells=0)
    with pytest.raises(ConfigError, match="does not take segmentation"):
        Known(KnownConfig(LABELS, tokenizer="model"), 8, Tokenizer(tiny_config))


def test_maps_are_told_as_at_the_training_or_not_at_all(tiny_config):
    def known(**changes):
        data = ConditionDataConfig(**{"kind": "edges", **changes})
        second = Tokenizer(dataclasses.replace(tiny_config, image_channels=1)).eval()
        return Known(KnownConfig(data, tokenizer="x"), 8, second)

    torch.manual_seed(0)
    trained = known()
    source = TokenSource(condition="edges", symbols=17, told=trained.source())
    trained.require_as_trained(source)
    same = Known(known(edge_sigma=3.0).config, 8, trained.tokenizer)
    same.require_as_trained(source)  # sobel has no sigma
    for other in (known(), Known(known(edges="canny").config, 8, trained.tokenizer)):
        with pytest.raises(ConfigError, match="made in another way"):
            other.require_as_trained(source)
    known().require_as_trained(TokenSource(condition="edges", symbols=17))  # an older file
    with pytest.raises(ConfigError, match="knows 5 symbols of edges, these maps have 17"):
        trained.require_as_trained(TokenSource(condition="edges", symbols=5))
    coarse, fine = (Known(KnownConfig(LABELS, cells=cells), 8) for cells in (1, 2))
    with pytest.raises(ConfigError, match="made in another way"):
        fine.require_as_trained(
            TokenSource(condition="segmentation", symbols=5, told=coarse.source())
        )
    small = Known(
        KnownConfig(ConditionDataConfig(kind="low_resolution"), "x"), 8, in_colour(tiny_config)
    )
    assert small.source().factor == 4
    assert Known(KnownConfig(ConditionDataConfig(kind="class")), 8).source() == ConditionSource()


def in_colour(tiny_config):
    return Tokenizer(tiny_config).eval()


def test_a_model_of_other_channels_cannot_tell(tiny_config):
    edges = KnownConfig(ConditionDataConfig(kind="edges"), "x")
    with pytest.raises(ConfigError, match="take edges: that has 1 channels, the model takes 3"):
        Known(edges, 8, in_colour(tiny_config))
    small = KnownConfig(ConditionDataConfig(kind="low_resolution"), "x")
    with pytest.raises(ConfigError, match="that has 1 channels, the model takes 3"):
        Known(small, 8, in_colour(tiny_config), image_channels=1)
