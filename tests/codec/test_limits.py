import pytest

from loopyvq.codec import ReadingLimits
from loopyvq.coding import Header
from loopyvq.errors import BitstreamError, ConfigError


def test_pixels_and_sites_are_limited():
    header = Header("context", "0" * 12, 100, 50, 3, 8, 0.1, 0)
    ReadingLimits(max_pixels=5000, max_tokens=728).check(header, 91)
    with pytest.raises(BitstreamError, match="100 x 50 pixels, more than the allowed 4999"):
        ReadingLimits(max_pixels=4999).check(header, 1)
    with pytest.raises(BitstreamError, match="728 tokens"):
        ReadingLimits(max_tokens=727).check(header, 91)
    with pytest.raises(ConfigError):
        ReadingLimits(max_pixels=0)
