import pytest

from loopyvq.demo.zoom import DecodedPhoto, introduction, sites_in_detail
from loopyvq.quantize import LoopConfig
from tests.demo.conftest import DEPTH, FACTOR, SIZE, THRESHOLDS, Page, make_photo

LOOP = LoopConfig(codebook_size=SIZE, max_depth=DEPTH)


def decoded(name: str, height: int, width: int, empty: bool = False) -> DecodedPhoto:
    photo = make_photo(name, height, width, empty)
    pairs = [(result.reconstruction, result.tokens) for result in photo.results]
    return DecodedPhoto(name, photo.original, pairs)


def page_of(*photos: DecodedPhoto) -> Page:
    return Page(sites_in_detail(photos, FACTOR, LOOP))


def test_tokens_are_spelled() -> None:
    page = page_of(decoded("one", 45, 70), decoded("two", 64, 48))
    chips = [tag["class"] for _, tag in page.tags if str(tag.get("class")).startswith("chip")]
    assert {"chip code", "chip dummy", "chip stop", "chip count"} <= set(chips)
    assert page.open == []
    for spelling in ("dummy", "run_length"):
        assert spelling in page.text


def test_every_site_has_its_pixels_and_a_column_per_threshold() -> None:
    page = page_of(decoded("one", 45, 70), decoded("two", 64, 48))
    sites = [tag for tag in page.all("img") if str(tag["alt"]).startswith("Site ")]
    assert len(sites) == 6 * (1 + len(THRESHOLDS))
    columns = [tag for tag in page.all("ol") if tag["class"] == "stack"]
    assert len(columns) == 6 * len(THRESHOLDS)
    assert [tag["data-show"] for tag in columns if "hidden" not in tag] == ["2"] * 6


@pytest.mark.parametrize(("height", "width", "count"), [(5, 3, 1), (20, 17, 3), (8, 48, 6)])
def test_small_photographs(height: int, width: int, count: int) -> None:
    page = page_of(decoded("small", height, width))
    originals = [tag for tag in page.all("img") if str(tag["alt"]).endswith(", original")]
    assert len(originals) == count
    assert sum(int(str(tag["width"])) for tag in originals) == min(width, count * FACTOR)
    assert f"sites 1 to {count}" in page.text


def test_the_most_varied_photograph_is_chosen() -> None:
    photos = [decoded("flat", 64, 64, empty=True), decoded("varied", 64, 64)]
    assert "Part of varied" in sites_in_detail(photos, FACTOR, LOOP)


def test_no_photographs() -> None:
    assert "no photographs" in page_of().text


def test_only_residuals_go_on_where_a_coarser_threshold_stopped() -> None:
    assert "watch the columns grow" in introduction(LOOP)
    assert "watch" not in introduction(LoopConfig(transform="pull"))
