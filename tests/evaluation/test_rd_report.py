import math

import pytest
from PIL import Image

from loopyvq.errors import ConfigError
from loopyvq.evaluation.rd_points import measures_in
from loopyvq.evaluation.rd_report import cells_of, compare_systems, mean_curve, plot_curves
from tests.evaluation.test_rd_curves import curve


def test_systems_are_compared_with_the_first():
    first, second = compare_systems([*curve(1.0), *curve(0.5, "b")], most_bpp=1.0)
    assert (first.system, second.system) == ("a", "b")
    assert first.gain.mean == first.bytes_percent.mean == 0
    assert second.gain.mean == pytest.approx(5.0)  # half the bytes, 5 dB per octave
    assert second.bytes_percent.mean == pytest.approx(-50)
    assert first.means[:3] == [None, None, pytest.approx(13.39, abs=0.01)]
    assert first.counts[:3] == [0, 0, 1]
    first, second = compare_systems([*curve(1.0), *curve(0.5, "b")], against="b")
    assert (first.bytes_percent.mean, second.gain.mean) == (pytest.approx(100), 0)
    with pytest.raises(ConfigError, match="no system 'c', but a, b"):
        compare_systems([*curve(1.0), *curve(0.5, "b")], against="c")


def test_tables_are_words():
    points = [*curve(1.0), *curve(0.5, "b"), *(point._replace(image="j") for point in curve(1.0))]
    lines = cells_of(compare_systems(points), "psnr_db")
    assert lines[0][:3] == ["PSNR in dB", "own bpp", "0.05 bpp"]
    assert lines[2][:2] == ["b", "0.05 to 0.40"]
    assert "18.39 (1)" in lines[2][4]
    assert lines[2][-1] == "-50.0 % (-50.0 to -50.0, 1 images)"
    alone = cells_of(compare_systems([*curve(1.0), curve(0.5, "b")[2]], most_bpp=1.0), "psnr_db")
    assert alone[2][1] == "0.20"
    assert alone[2][-2:] == ["+5.00 dB (+5.00 to +5.00)", "-50.0 % (-50.0 to -50.0)"]
    worse = [point._replace(lpips=0.1) for point in curve(1.0)]
    assert cells_of(compare_systems(worse, "lpips"), "lpips")[1][4] == "0.1000"


def test_curves_join_the_means_of_settings():
    points = [*curve(1.0), *(point._replace(image="j", psnr_db=40.0) for point in curve(1.0))]
    means = mean_curve(points, "a", "psnr_db")
    assert [point.rate_bpp for point in means] == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert means[0].psnr_db == pytest.approx((40 + curve(1.0)[0].psnr_db) / 2)


def test_pictures(tmp_path):
    (tmp_path / "rd.png").write_bytes(plot_curves([*curve(1.0), *curve(0.5, "b")]))
    with Image.open(tmp_path / "rd.png") as image:
        assert image.size == (1690, 676)


def test_images_that_lack_a_measure_take_it_from_no_other():
    tiny = [point._replace(image="tiny", ms_ssim=math.nan, psnr_db=math.inf) for point in curve(1)]
    tiny += [point._replace(system="b") for point in tiny]
    whole = [*curve(1.0), *curve(0.5, "b")]
    assert measures_in([*whole, *tiny]) == measures_in(whole)
    for measure in ("psnr_db", "ms_ssim"):
        assert compare_systems([*whole, *tiny], measure) == compare_systems(whole, measure)
        means = [str(mean_curve(some, "b", measure)) for some in ([*whole, *tiny], whole)]
        assert means[0] == means[1]  # in words, as NaN is not NaN
    assert [row.gain for row in compare_systems(tiny, "ms_ssim")] == []
