import base64
import io

import pytest
import torch
from PIL import Image

from loopyvq.demo.panels import (
    Panel,
    file_tag,
    image_tag,
    legend,
    length_colours,
    map_panel,
    numbers_beside,
    photo_article,
)
from loopyvq.tokens import Tokens
from tests.demo.conftest import EVIL, Page


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_keeps_every_pixel(channels: int) -> None:
    image = torch.randint(0, 256, (channels, 5, 7), dtype=torch.uint8)
    (tag,) = Page(image_tag(image, "a", kind="PNG")).all("img")
    data = base64.b64decode(str(tag["src"]).partition(",")[2])
    with Image.open(io.BytesIO(data)) as decoded:
        found = torch.frombuffer(bytearray(decoded.tobytes()), dtype=torch.uint8)
    assert torch.equal(found, image.permute(1, 2, 0).flatten())


def test_a_file_stands_in_the_page_as_it_is() -> None:
    (tag,) = Page(file_tag(b"any bytes", "jpeg", (5, 7), EVIL, " hidden")).all("img")
    kind, _, data = str(tag["src"]).partition(";base64,")
    assert kind == "data:image/jpeg"
    assert base64.b64decode(data) == b"any bytes"
    assert (tag["height"], tag["width"], tag["alt"]) == ("5", "7", EVIL)
    assert "hidden" in tag


def test_the_legend_has_a_colour_for_every_length() -> None:
    page = Page(legend(4))
    assert page.text == "Tokens per site 0 1 2 3 4"
    assert len(set(length_colours(4))) == 5


def test_a_map_for_every_threshold() -> None:
    image = torch.zeros(3, 9, 16, dtype=torch.uint8)
    lengths = torch.tensor([[0, 1], [1, 0]])
    tokens = Tokens(torch.where(lengths.unsqueeze(2) > 0, 3, -1), lengths)
    panel = map_panel(image, [tokens] * 3, ["a", "b", "c"], 8)
    maps = [tag for tag in Page(panel.pictures).all("img") if "data-lengths" in tag]
    assert [tag["alt"] for tag in maps] == ["a", "b", "c"]
    assert {tag["data-lengths"] for tag in maps} == {"0,1,1,0"}
    assert {tag["style"] for tag in maps} == {"width:100.0000%;height:177.7778%"}
    assert Page(panel.details).text == "2 tokens, 4 sites " * 2 + "2 tokens, 4 sites"


def test_an_article_holds_panels_and_other_markup() -> None:
    panels = [Panel("<i></i>", "one", ""), "<p>two</p>"]
    page = Page(photo_article(EVIL, (5, 7), 8, "", panels))
    assert page.open == []
    assert len(page.all("figure")) == 1
    assert page.text == f"{EVIL} one two"
    (article,) = page.all("article")
    assert (article["data-height"], article["data-width"]) == ("5", "7")


def test_the_first_number_is_named_before_it() -> None:
    page = Page(numbers_beside([("threshold", "0.5"), ("bytes", "9")], 0, 1))
    assert [tag.get("class") for tag in page.all("div")] == ["named", None]
    assert page.text == "threshold 0.5 bytes 9"
