import base64

import pytest

from loopyvq.demo.compression_photos import compared_panels
from tests.demo.conftest import EVIL, FACTOR, THRESHOLDS, Page, make_compared


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(compared_panels(make_compared(EVIL, 45, 70), FACTOR))


def test_the_panels_of_a_photograph(page: Page) -> None:
    assert page.open == []
    assert len(page.all("figure")) == 5
    assert len([tag for tag in page.all("img") if "data-lengths" in tag]) == len(THRESHOLDS)
    for words in (EVIL, "Original", "loopyvq", "JPEG", "WebP", "Tokens per site"):
        assert words in page.text


def test_other_files_stand_in_the_page_as_they_are(page: Page) -> None:
    sources = [str(tag["src"]) for tag in page.all("img")]
    for file in make_compared(EVIL, 45, 70).files:
        for other in file.others:
            text = base64.b64encode(other.data).decode()
            assert f"data:image/{other.point.system};base64,{text}" in sources


def test_each_threshold_has_its_numbers(page: Page) -> None:
    tables = page.all("table")
    assert [tag["data-show"] for tag in tables] == ["0", "1", "2", "3", "4"]
    assert [tag["data-show"] for tag in tables if "hidden" not in tag] == ["2"]
    points = [file.point for file in make_compared(EVIL, 45, 70).files]
    for point in points:
        assert f"{point.psnr_db:.2f}" in page.text
        assert f"{point.psnr_db - 2:.2f}".replace("-", "\u2212") in page.text


def test_a_larger_file_is_told(page: Page) -> None:
    assert page.text.count("JPEG and WebP: the smallest there is, larger than ours") == 1
    assert page.text.count("300 bytes, 3.0 \u00d7") == 2
    assert "190 bytes" in page.text
