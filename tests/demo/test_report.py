import re
from pathlib import Path

import pytest

from loopyvq import __version__
from loopyvq.demo.report import write_report
from tests.demo.conftest import EVIL, THRESHOLDS, Page, make_result, render


def test_the_page_is_well_formed(written: tuple[str, Page]) -> None:
    text, page = written
    assert page.open == []
    assert text.startswith("<!doctype html>")
    assert not re.search(r"\$[a-z_{]+", re.sub(r"\$\{", "", text))


def test_nothing_is_fetched(written: tuple[str, Page]) -> None:
    text, page = written
    assert not re.search(
        r"https?:|//[a-z]+\.[a-z]|@import|url\((?!#)", re.sub("data:[^\"']+", "", text)
    )
    assert all("src" not in attributes for attributes in page.all("script"))


def test_names_are_escaped(written: tuple[str, Page]) -> None:
    text, page = written
    assert "<script>alert" not in text
    assert EVIL in page.text
    assert len(page.all("script")) == 1


@pytest.mark.parametrize(
    "words",
    [
        "1.2 M",
        "4,321",
        "2 min 1 s",
        "0.10\u20130.50",
        "1.88",
        "0.062",
        "0.734",
        "98.7%",
        "∞",
        "22.00",
    ],
)
def test_the_numbers_are_there(written: tuple[str, Page], words: str) -> None:
    assert words in written[1].text


def test_the_middle_threshold_shows_without_a_script(written: tuple[str, Page]) -> None:
    tags = [attributes for _, attributes in written[1].tags if "data-show" in attributes]
    visible = [attributes["data-show"] for attributes in tags if "hidden" not in attributes]
    assert set(visible) == {"2"}
    assert {attributes["data-show"] for attributes in tags} == {"0", "1", "2", "3", "4"}
    assert len(tags) == len(THRESHOLDS) * len(visible)
    radios = [attributes for attributes in written[1].all("input") if "checked" in attributes]
    assert [radio["value"] for radio in radios] == ["2"]


def test_commands_name_the_model(written: tuple[str, Page]) -> None:
    text = written[1].text
    assert "loopyvq encode 'my runs/last.safetensors' photo.jpg --threshold 0.125" in text
    assert "--thresholds 1.25 0.8 0.5 0.3 0.125" in text


def test_the_footer_tells_where_the_page_comes_from(written: tuple[str, Page]) -> None:
    text = written[1].text
    footer = text[text.index("Written by") :]
    for words in (__version__, "my runs/last.safetensors", "seed 7", f"rocket, {EVIL}"):
        assert words in footer


def test_hardly_anything_to_show(tmp_path: Path) -> None:
    result = make_result(photos=[], fixed_depth=[], history=[])
    bare = result._replace(points=[result.points[0]._replace(turns=[], num_images=1)])
    _, page = render(tmp_path, bare)
    assert page.open == []
    assert "do not overlap" in page.text
    assert "No measurements" in page.text


def test_the_same_result_gives_the_same_page(tmp_path: Path) -> None:
    assert render(tmp_path / "a", make_result())[0] == render(tmp_path / "b", make_result())[0]


def test_it_wants_a_threshold(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one threshold"):
        write_report(make_result(points=[]), tmp_path / "report.html")
    with pytest.raises(ValueError, match="expected one for each"):
        write_report(make_result(points=make_result().points[:2]), tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []
