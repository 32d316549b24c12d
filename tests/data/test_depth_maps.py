import numpy as np
import pytest
from PIL import Image

from loopyvq.data.depth_maps import read_depth

DEPTH = np.array([[1.5, 3.0], [4.5, 2.0]], dtype=np.float32)
EXPECTED = np.rint(255 * (DEPTH.astype(np.float64) - 1.5) / 3).astype(np.uint8)


def packed(values):
    """Four bytes of a float as the four channels of a pixel."""
    return Image.fromarray(np.ascontiguousarray(values).view(np.uint8).reshape(2, 2, 4))


@pytest.mark.parametrize(
    "picture",
    [
        Image.fromarray(DEPTH),
        packed(DEPTH),
        Image.fromarray((DEPTH * 10000).astype(np.uint16)),
        Image.fromarray((DEPTH * 1e6).astype(np.int32)),
    ],
    ids=lambda picture: picture.mode,
)
def test_every_map_is_stretched_to_the_whole_range(picture):
    found = read_depth(picture)
    assert found.dtype == np.uint8
    assert np.array_equal(found, EXPECTED)


def test_colours_are_brightness():
    assert read_depth(Image.new("RGB", (2, 1), (9, 9, 9))).tolist() == [[0, 0]]


def test_flat_maps_are_zero_and_infinite_depths_are_refused():
    assert not read_depth(Image.new("F", (3, 2), 7.0)).any()
    for picture in (Image.new("F", (2, 2), float("nan")), packed(np.full((2, 2), np.inf, "f4"))):
        with pytest.raises(ValueError, match="not finite"):
            read_depth(picture)
