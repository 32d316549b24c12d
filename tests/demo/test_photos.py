import base64
import io

import pytest
from PIL import Image

from loopyvq.demo.photos import photo_panels
from tests.demo.conftest import EVIL, FACTOR, THRESHOLDS, Page, make_photo


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(photo_panels(make_photo(EVIL, 45, 70), FACTOR))


def test_every_image_is_inline_and_decodes(written: tuple[str, Page]) -> None:
    images = written[1].all("img")
    assert len(images) >= 3 * (2 + 2 * len(THRESHOLDS))
    for attributes in images:
        kind, _, data = str(attributes["src"]).partition(";base64,")
        assert kind in ("data:image/webp", "data:image/png")
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            image.load()
            assert [str(side) for side in image.size] == [attributes["width"], attributes["height"]]
        assert attributes["alt"] is not None


def test_no_picture_is_stored_twice(page: Page) -> None:
    sources = [attributes["src"] for attributes in page.all("img")]
    assert len(sources) == len(set(sources)) == 2 + 2 * len(THRESHOLDS)


def test_maps_carry_the_lengths(page: Page) -> None:
    maps = [attributes for attributes in page.all("img") if "data-lengths" in attributes]
    assert len(maps) == len(THRESHOLDS)
    results = make_photo(EVIL, 45, 70).results
    for attributes, result in zip(maps, results, strict=True):
        lengths = [int(length) for length in str(attributes["data-lengths"]).split(",")]
        assert lengths == result.tokens.lengths.flatten().tolist()
        assert attributes["style"] == "width:102.8571%;height:106.6667%"


def test_the_numbers_of_a_photograph(page: Page) -> None:
    assert page.open == []
    assert EVIL in page.text
    assert "70 \u00d7 45 px" in page.text
    assert "SSIM \u2013" in page.text
    tokens = make_photo(EVIL, 45, 70).results[2].tokens
    assert f"{tokens.num_tokens:,} tokens, 54 sites" in page.text
