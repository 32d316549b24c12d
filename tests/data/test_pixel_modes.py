import numpy as np
import pytest
from PIL import Image

from loopyvq.data.pixel_modes import to_grey_or_rgb


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 77, (77, 77, 77)),
        ("LA", (100, 0), (255, 255, 255)),
        ("RGBA", (200, 0, 0, 255), (200, 0, 0)),
        ("RGBA", (0, 0, 0, 0), (255, 255, 255)),
        ("CMYK", (0, 0, 0, 255), (0, 0, 0)),
        ("I;16", 32768, (128, 128, 128)),
        ("I", 65535, (255, 255, 255)),
        ("F", 0.5, (128, 128, 128)),
        ("F", 200.0, (200, 200, 200)),
    ],
)
def test_every_mode_becomes_rgb_and_grey(mode, value, expected):
    image = Image.new(mode, (2, 3), value)
    colour = to_grey_or_rgb(image, 3)
    assert (colour.mode, colour.size) == ("RGB", (2, 3))
    assert colour.getpixel((1, 2)) == pytest.approx(expected, abs=1)
    grey = to_grey_or_rgb(image, 1)
    assert grey.mode == "L"
    luma = 0.299 * expected[0] + 0.587 * expected[1] + 0.114 * expected[2]
    assert grey.getpixel((0, 0)) == pytest.approx(luma, abs=2)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), 1e9])
def test_values_that_are_no_pixels_are_refused(value):
    image = Image.fromarray(np.full((2, 2), value, dtype=np.float32))
    with pytest.raises(ValueError, match="pixel"):
        to_grey_or_rgb(image, 3)


def test_a_transparent_grey_value_becomes_white():
    image = Image.fromarray(np.array([[10, 40000]], dtype=np.uint16))
    image.info["transparency"] = 10
    assert list(np.asarray(to_grey_or_rgb(image, 1)).flatten()) == [255, 156]
