import math

import pytest
import torch

from loopyvq.errors import DataError
from loopyvq.evaluation.rd_points import (
    RdPoint,
    measure_point,
    measures_in,
    points_from_csv,
    points_to_csv,
    systems_of,
)


def test_points_count_everything():
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 200, (3, 24, 40), dtype=torch.uint8, generator=generator)
    points = [measure_point(system, "q", "a", 120, image + 2, image) for system in "abab"]
    assert points[0].rate_bpp == 1.0
    assert round(points[0].psnr_db, 2) == 42.11
    assert systems_of(points) == ["a", "b"]
    lines = points_to_csv(points).splitlines()
    assert lines[0].startswith("system,setting,image,num_bytes,rate_bpp")
    assert len(lines) == 5
    assert math.isnan(points[0].lpips)
    assert measures_in(points) == ["psnr_db", "ms_ssim", "ssim"]
    again = points_from_csv(points_to_csv(points))
    assert [point[:-1] for point in again] == [point[:-1] for point in points]
    with pytest.raises(DataError, match="no table"):
        points_from_csv("a,b\n1,2\n")


@pytest.mark.parametrize("rate_bpp", [0.0, -1.0, math.inf, math.nan])
def test_a_rate_is_a_number_above_zero(rate_bpp):
    table = points_to_csv([RdPoint("a", "q", "x", 10, rate_bpp, 30.0, 0.9, 0.9)])
    with pytest.raises(DataError, match="bits per pixel, it must be above 0"):
        points_from_csv(table)
