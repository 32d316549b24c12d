import numpy as np
import pytest
import torch
from PIL import Image

from loopyvq.data.label_maps import LabelMapConfig, LabelReader, one_hot
from loopyvq.errors import ConfigError

LABELS = np.array([[0, 1, 2], [2, 1, 0]], dtype=np.uint8)


@pytest.mark.parametrize(
    "options", [{"num_labels": 0}, {"num_labels": 257}, {"shift": -1}, {"shift": 256}]
)
def test_ranges(options):
    with pytest.raises(ConfigError, match="must be within"):
        LabelMapConfig(**options)


def palette_picture():
    picture = Image.fromarray(LABELS).convert("P")
    picture.putdata(LABELS.ravel().tolist())
    picture.putpalette([9, 9, 9, 200, 0, 0, 0, 0, 200])
    return picture


@pytest.mark.parametrize(
    "picture",
    [
        Image.fromarray(LABELS),
        palette_picture(),
        Image.fromarray(LABELS.astype(np.uint16)),
        Image.fromarray(LABELS.astype(np.int32)),
    ],
    ids=lambda picture: picture.mode,
)
def test_values_are_labels_whatever_the_mode(picture):
    found = LabelReader(LabelMapConfig(num_labels=3))(picture)
    assert found.dtype == np.uint8
    assert np.array_equal(found, LABELS)


def test_black_and_white_is_two_labels():
    picture = Image.fromarray(LABELS > 1).convert("1")
    found = LabelReader(LabelMapConfig(num_labels=2))(picture)
    assert np.array_equal(found, LABELS > 1)


def test_shift_wraps_round():
    picture = Image.fromarray(np.array([[255, 0, 181]], dtype=np.uint8))
    found = LabelReader(LabelMapConfig(num_labels=183, shift=1))(picture)
    assert found.tolist() == [[0, 1, 182]]


def test_colours(tmp_path):
    path = tmp_path / "colours.txt"
    path.write_text("9 9 9\n200 0 0\n0 0 200\n")
    read = LabelReader(LabelMapConfig(num_labels=3, palette=str(path)))
    assert np.array_equal(read(palette_picture().convert("RGB")), LABELS)
    assert np.array_equal(read(palette_picture()), LABELS)
    with pytest.raises(ConfigError, match="has 3 colours for 4 labels: set num_labels to 3"):
        LabelReader(LabelMapConfig(num_labels=4, palette=str(path)))


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (Image.new("RGB", (2, 2)), "painted in colours .* palette"),
        (Image.new("L", (2, 2), 7), "the label 7, but there are 3 labels"),
        (Image.fromarray(np.array([[300]], dtype=np.uint16)), "labels from 300 to 300"),
        (Image.fromarray(np.array([[-1]], dtype=np.int32)), "labels from -1"),
    ],
)
def test_what_is_no_label_map(picture, message):
    with pytest.raises(ValueError, match=message):
        LabelReader(LabelMapConfig(num_labels=3))(picture)


def test_one_hot_inverts():
    labels = torch.randint(5, (2, 3, 4), generator=torch.Generator().manual_seed(0))
    maps = one_hot(labels, 5)
    assert maps.shape == (2, 5, 3, 4)
    assert torch.equal(maps.argmax(dim=1), labels)
    assert torch.equal(maps.sum(dim=1), torch.ones(2, 3, 4))
