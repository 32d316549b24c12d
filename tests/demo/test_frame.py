import re
from pathlib import Path

import pytest

from loopyvq.demo.frame import Frame, fill, opening, write_page
from tests.demo.conftest import Page

FRAME = Frame("a title", "photos", opening("A heading", "A lead.", "A note."), "", "The end.")


def test_a_page_is_well_formed_and_fetches_nothing(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", FRAME, '<main id="photos">the body</main>')
    text = (tmp_path / "page.html").read_text("utf-8")
    page = Page(text)
    assert page.open == []
    for words in ("loopyvq: a title", "A heading A lead. A note.", "the body", "The end."):
        assert words in page.text
    assert not re.search(r"https?:|//[a-z]+\.[a-z]|@import|url\((?!#)", text)
    assert {"href": "#photos", "class": "skip"} in page.all("a")
    assert len(page.all("script")) == 1


def test_a_page_without_thresholds_needs_no_script(tmp_path: Path) -> None:
    frame = FRAME._replace(chooses=False, style=".wall { gap: 12px; }")
    write_page(tmp_path / "page.html", frame, "<main></main>")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "<script" not in text
    assert text.index(".wall {") > text.index(".wrap {")


def test_the_loop_is_drawn_where_it_is_told() -> None:
    assert len(Page(opening("a", "b", "c")).all("svg")) == 1
    assert Page(opening("a", "b", "c", draws_loop=False)).all("svg") == []


def test_every_name_of_a_template_must_be_filled() -> None:
    with pytest.raises(KeyError):
        fill("page.html", title="a title")
