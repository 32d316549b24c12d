import inspect
import math

import pytest

from loopyvq.demo.compression_result import (
    BoundCheck,
    ComparedFile,
    ComparedPhoto,
    CompressionDemo,
    Gap,
    MeanFile,
    OtherFile,
    gap_to,
    means_at,
)
from tests.demo.conftest import THRESHOLDS, make_compared, make_compression

TYPES = (BoundCheck, ComparedFile, ComparedPhoto, CompressionDemo, Gap, MeanFile, OtherFile)


@pytest.mark.parametrize("result", TYPES)
def test_every_field_is_documented(result: type) -> None:
    for name in result._fields:  # type: ignore[attr-defined]
        assert f"\n    {name}: " in (inspect.getdoc(result) or ""), name


def test_means_are_over_photographs() -> None:
    photos = make_compression().photos
    ours, jpeg, webp = means_at(photos, 1)
    points = [photo.files[1].point for photo in photos]
    assert ours.num_bytes == 200
    assert ours.psnr_db == pytest.approx((points[0].psnr_db + points[1].psnr_db) / 2)
    assert jpeg.psnr_db == webp.psnr_db == pytest.approx(ours.psnr_db - 2)


@pytest.mark.parametrize(
    ("place", "words"), [(0, "3.0 times the bytes"), (1, "1 of 2 larger"), (2, "")]
)
def test_means_tell_of_larger_files(place: int, words: str) -> None:
    ours, jpeg, _ = means_at(make_compression().photos, place)
    assert jpeg.larger_than(ours) == words
    assert ours.larger_than(ours) == ""


def test_only_files_that_are_no_larger_are_compared() -> None:
    gap = gap_to(make_compression().photos, "webp")
    assert gap.psnr_db == pytest.approx(2.0)
    assert gap.ms_ssim == pytest.approx(0.0)
    assert (gap.num_compared, gap.num_files) == (7, 10)
    assert -5 < gap.bytes_percent < -2  # 10 of 200 to 500 bytes


def test_where_nothing_is_as_small_there_is_no_gap() -> None:
    gap = gap_to([make_compared("one", 20, 20, num_larger=len(THRESHOLDS))], "jpeg")
    assert math.isnan(gap.psnr_db)
    assert math.isnan(gap.ms_ssim)
    assert gap.num_compared == 0
