from PIL import Image

from loopyvq.evaluation.rd_report import compare_systems, plot_curves
from tests.evaluation.test_rd_curves import curve


def test_tables_and_pictures(tmp_path):
    points = [*curve(1.0), *curve(0.5, "b")]
    table = compare_systems(points)
    assert "| b |" in table
    assert "-50.0 %" in table
    assert "18.39" in table  # 30 + 5 log2 0.2
    plot_curves(points, tmp_path / "rd.png")
    with Image.open(tmp_path / "rd.png") as image:
        assert image.size == (1430, 585)
