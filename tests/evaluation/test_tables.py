import csv
import io
import json

from loopyvq.evaluation import Evaluation, PointResult
from loopyvq.evaluation.tables import format_points, format_usage, to_csv, to_json
from loopyvq.metrics.codebook import TurnUsage

POINT = PointResult(
    threshold=0.25,
    depth=2,
    num_images=1,
    tokens_per_image=96.0,
    tokens_per_site=1.5,
    bits_per_image=800.0,
    rate_bpp=0.195,
    stop_bpp=0.02,
    psnr_db=float("inf"),
    ssim=0.9,
    ms_ssim=float("nan"),
    share_within_threshold=0.75,
    length_histogram=[8, 16, 40],
    turns=[TurnUsage(56, 0.125, 0.5, 12.5), TurnUsage(0, 0.0, 0.0, 0.0)],
    spread_of_energies=0.4,
)
RESULT = Evaluation([POINT], [("a,b.png", 0.25, 2, 96, 0.195, float("inf"), 0.9, float("nan"))])


def test_the_tables_are_markdown_with_every_number():
    rows = format_points([POINT, POINT]).splitlines()
    assert len(rows) == 4
    assert len({row.count("|") for row in rows}) == 1
    for text in ("0.25", "1.50", "96", "800", "0.195", "0.020", "inf", "75.0%"):
        assert text in rows[2]
    usage = format_usage(POINT).splitlines()
    assert "62.5%" in usage[3]  # 40 of 64 sites have two tokens
    assert "12.5%" in usage[2]
    assert "12.5" in usage[2]


def test_json_holds_everything_and_no_infinities():
    loaded = json.loads(to_json(RESULT, model="m"), parse_constant=lambda name: 1 / 0)
    assert loaded["model"] == "m"
    assert loaded["points"][0]["psnr_db"] is None
    assert loaded["points"][0]["turns"][0]["perplexity"] == 12.5
    assert loaded["images"][0]["image"] == "a,b.png"


def test_csv_has_one_line_per_image_and_point():
    rows = list(csv.DictReader(io.StringIO(to_csv(RESULT))))
    assert rows[0]["image"] == "a,b.png"
    assert rows[0]["num_tokens"] == "96"
