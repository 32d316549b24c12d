import numpy as np
import pytest
import torch
from PIL import Image

from loopyvq.codec.pixels import (
    pixels_of,
    rows_at_once,
    squared_error,
    to_grey,
    with_channels,
)
from loopyvq.errors import ConfigError


def test_images_come_as_tensors_or_arrays():
    array = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    assert torch.equal(pixels_of(array), pixels_of(torch.from_numpy(array)))
    for bad in (array[0], array.astype(np.int64), array[:, :0]):
        with pytest.raises(ConfigError, match="8-bit"):
            pixels_of(bad)


def test_grey_goes_through_a_model_of_colours():
    grey = torch.randint(0, 256, (1, 5, 6), dtype=torch.uint8)
    colour = with_channels(grey, 3)
    assert colour.shape == (3, 5, 6)
    assert torch.equal(to_grey(colour), grey)
    assert with_channels(grey, 1) is grey
    with pytest.raises(ConfigError, match="takes 1"):
        with_channels(colour, 1)


def test_luma_is_pillows():
    generator = torch.Generator().manual_seed(0)
    colour = torch.randint(0, 256, (3, 40, 50), dtype=torch.uint8, generator=generator)
    theirs = np.asarray(Image.fromarray(colour.permute(1, 2, 0).numpy()).convert("L"))
    assert np.abs(to_grey(colour)[0].numpy().astype(int) - theirs).max() <= 1


@pytest.mark.parametrize("width", [1, 77, 1 << 18, 1 << 20])
def test_some_rows_are_taken_at_once_however_wide(width):
    rows = rows_at_once(width)
    assert rows >= 1
    assert rows * width <= max(1 << 18, width)


def test_squared_errors_are_exact_in_images_of_many_strips(monkeypatch):
    monkeypatch.setattr("loopyvq.codec.pixels._PIXELS_AT_ONCE", 100)
    first, second = torch.randint(0, 256, (2, 3, 47, 33), dtype=torch.uint8)
    expected = int((first.long() - second.long()).square().sum())
    assert squared_error(first, second) == squared_error(second, first) == expected
    assert squared_error(first, first) == 0
    black, white = torch.zeros_like(first), torch.full_like(first, 255)
    assert squared_error(black, white) == 255**2 * first.numel()
