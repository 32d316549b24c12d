import pytest

from loopyvq.data import open_image_set
from loopyvq.errors import DataError
from loopyvq.loopify import with_turns
from loopyvq.loopify.table import format_table, measure, thresholds_at
from tests.loopify.conftest import plain
from tests.loopify.test_surgery import latents_of


@pytest.fixture
def looped():
    tokenizer = plain("loopy")
    return with_turns(tokenizer, latents_of(tokenizer))


def test_thresholds_give_the_mean_lengths_that_are_asked_for(looped, photos):
    images = open_image_set(photos)
    thresholds = thresholds_at(looped, images, (1.0, 1.5, 3.0))
    assert thresholds == sorted(thresholds, reverse=True)
    rows = measure("loopified", looped, images, thresholds)
    assert [row.tokens_per_site for row in rows] == [
        pytest.approx(1.0, rel=0.01), pytest.approx(1.5, rel=0.01), pytest.approx(3.0, rel=0.01)
    ]  # fmt: skip
    assert rows[0].rate_bpp < rows[1].rate_bpp < rows[2].rate_bpp
    assert [row.tokens_per_image for row in rows] == [64 * row.tokens_per_site / 4 for row in rows]


def test_the_table_has_a_line_per_row(looped, photos):
    rows = measure("loopified", looped, open_image_set(photos), [0.5])
    lines = format_table(rows).splitlines()
    assert len(lines) == 3
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| loopified | 0.5 | ")


def test_no_readable_image_is_an_error(looped, tmp_path):
    (tmp_path / "1.png").write_text("no image")
    with pytest.raises(DataError, match="no readable image to measure"):
        thresholds_at(looped, open_image_set(tmp_path), [1.0])
