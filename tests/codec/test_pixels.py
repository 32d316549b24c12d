import numpy as np
import pytest
import torch
from PIL import Image

from loopyvq.codec.pixels import pixels_of, to_grey, with_channels
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
