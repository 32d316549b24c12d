import pytest

from loopyvq.demo.parts import chooser, commands, facts, loop_in_words, millions, table
from loopyvq.models import TokenizerConfig
from loopyvq.quantize import LoopConfig
from tests.demo.conftest import EVIL, Page


def test_facts_name_their_numbers() -> None:
    assert Page(facts([("steps", "4,321"), ("time", "2 min")])).text == "steps 4,321 time 2 min"


def test_the_middle_threshold_is_chosen_at_first() -> None:
    page = Page(chooser([("1", "0.1 bpp"), ("0.5", "0.2 bpp"), ("0.2", "0.4 bpp")]))
    assert [tag["value"] for tag in page.all("input")] == ["0", "1", "2"]
    assert [tag["value"] for tag in page.all("input") if "checked" in tag] == ["1"]
    assert page.text.endswith("1 0.1 bpp 0.5 0.2 bpp 0.2 0.4 bpp")


@pytest.mark.parametrize("marked", [True, False])
def test_a_table_follows_the_choice_only_where_rows_are_thresholds(marked: bool) -> None:
    page = Page(table("Numbers", ["a", "b"], [["1", "2"], ["3", "4"]], marked))
    assert page.open == []
    assert page.text == "a b 1 2 3 4"
    rows = page.all("tr")[1:]
    assert [tag.get("data-mark") for tag in rows] == (["0", "1"] if marked else [None, None])


def test_commands_are_escaped() -> None:
    page = Page(commands([("Do it", f"loopyvq info {EVIL}", "next line")], "There."))
    assert page.all("script") == []
    assert page.text == f"Do it loopyvq info {EVIL} next line There."


def test_the_loop_has_the_sizes_of_the_model() -> None:
    loop = LoopConfig(codebook_size=2048, max_depth=5)
    words = loop_in_words(TokenizerConfig(quantizer=loop))
    for part in ("8 &times; 8 pixels", "2,048 learned codes", "after 5 turns"):
        assert part in words


def test_parameters_are_told_in_millions_from_one_on() -> None:
    assert [millions(999_999), millions(1_000_000)] == ["999,999", "1.0 M"]
