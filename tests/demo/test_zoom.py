import pytest

from loopyvq.demo.result import DemoResult
from loopyvq.demo.zoom import introduction, sites_in_detail
from loopyvq.models import TokenizerConfig
from loopyvq.quantize import LoopConfig
from tests.demo.conftest import FACTOR, THRESHOLDS, Page, make_photo, make_result


@pytest.fixture(scope="module")
def result() -> DemoResult:
    return make_result()


def test_tokens_are_spelled(result: DemoResult) -> None:
    page = Page(sites_in_detail(result))
    chips = [tag["class"] for _, tag in page.tags if str(tag.get("class")).startswith("chip")]
    assert {"chip code", "chip dummy", "chip stop", "chip count"} <= set(chips)
    assert page.open == []
    for spelling in ("dummy", "run_length"):
        assert spelling in page.text


def test_every_site_has_its_pixels_and_a_column_per_threshold(result: DemoResult) -> None:
    page = Page(sites_in_detail(result))
    sites = [tag for tag in page.all("img") if str(tag["alt"]).startswith("Site ")]
    assert len(sites) == 6 * (1 + len(THRESHOLDS))
    columns = [tag for tag in page.all("ol") if tag["class"] == "stack"]
    assert len(columns) == 6 * len(THRESHOLDS)
    assert [tag["data-show"] for tag in columns if "hidden" not in tag] == ["2"] * 6


@pytest.mark.parametrize(("height", "width", "count"), [(5, 3, 1), (20, 17, 3), (8, 48, 6)])
def test_small_photographs(height: int, width: int, count: int) -> None:
    photo = make_photo("small", height, width)
    page = Page(sites_in_detail(make_result(photos=[photo])))
    originals = [tag for tag in page.all("img") if str(tag["alt"]).endswith(", original")]
    assert len(originals) == count
    assert sum(int(str(tag["width"])) for tag in originals) == min(width, count * FACTOR)
    assert f"sites 1 to {count}" in page.text


def test_the_most_varied_photograph_is_chosen() -> None:
    photos = [make_photo("flat", 64, 64, empty=True), make_photo("varied", 64, 64)]
    assert "Part of varied" in sites_in_detail(make_result(photos=photos))


def test_no_photographs() -> None:
    assert "no photographs" in sites_in_detail(make_result(photos=[]))


def test_only_residuals_go_on_where_a_coarser_threshold_stopped(result: DemoResult) -> None:
    assert "watch the columns grow" in introduction(result)
    pull = TokenizerConfig(quantizer=LoopConfig(transform="pull"))
    assert "watch" not in introduction(make_result(config=pull))
