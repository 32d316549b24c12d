import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from loopyvq import __version__
from loopyvq.codec import Verified
from loopyvq.demo.compression_page import write_compression_page
from loopyvq.demo.compression_result import CompressionDemo
from tests.demo.conftest import EVIL, THRESHOLDS, Page, make_compared, make_compression


def render_demo(folder: Path, demo: CompressionDemo) -> tuple[str, Page]:
    write_compression_page(demo, folder / "report.html")
    text = (folder / "report.html").read_text("utf-8")
    return text, Page(text)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page]:
    return render_demo(tmp_path_factory.mktemp("page"), make_compression())


def test_the_page_is_well_formed_and_fetches_nothing(shown: tuple[str, Page]) -> None:
    text, page = shown
    assert page.open == []
    assert not re.search(r"\$[a-z_{]+", re.sub(r"\$\{", "", text))
    assert not re.search(
        r"https?:|//[a-z]+\.[a-z]|@import|url\((?!#)", re.sub("data:[^\"']+", "", text)
    )
    assert "<script>alert" not in text
    assert EVIL in page.text


@pytest.mark.parametrize(
    "words",
    [
        "1.2 M",
        "2.3 MB on disk",
        "PSNR against JPEG at equal bytes +2.0 dB",
        "+2.0 dB PSNR and 0.000 MS-SSIM, on average over 7 of 10 files",
        "3.0 times the bytes",
        "1 of 2 larger",
        "my runs/two-bounded.lvq 4,321 0.5 0.50000 0.49990 100.0% 7 of 54 sites",
        "The promise is kept.",
        "not trained on any of them",
        "after 4 turns",
        __version__,
    ],
)
def test_what_was_found_is_there(shown: tuple[str, Page], words: str) -> None:
    assert words in shown[1].text


def test_the_middle_threshold_shows_without_a_script(shown: tuple[str, Page]) -> None:
    tags = [attributes for _, attributes in shown[1].tags if "data-show" in attributes]
    visible = [attributes["data-show"] for attributes in tags if "hidden" not in attributes]
    assert set(visible) == {"2"}
    assert len(tags) == len(THRESHOLDS) * len(visible)


def test_the_chart_has_a_line_for_each_codec(shown: tuple[str, Page]) -> None:
    text = shown[0]
    start = text.index('<svg class="chart line-chart"')
    root = ElementTree.fromstring(text[start : text.index("</svg>", start) + 6])
    assert {"loopyvq", "JPEG", "WebP"} <= set(root.itertext())
    hints = [str(node.text) for node in root.iter("title")]
    assert len(hints) == 3 * len(THRESHOLDS)
    assert any(hint.startswith("WebP beside threshold 1.25: ") for hint in hints)


def test_commands_take_the_numbers_of_the_page(shown: tuple[str, Page]) -> None:
    text = shown[1].text
    assert "loopyvq compress photo.jpg --threshold 0.5 \\ --stop in_context" in text
    assert "--model some-model" in text


def test_what_the_model_has_learned_is_told(tmp_path: Path) -> None:
    _, page = render_demo(tmp_path, make_compression(learned=["two"]))
    assert "the model was trained on two, which flatters it" in page.text
    assert "not trained on any" not in page.text


@pytest.mark.parametrize("bound", [0.4, None])
def test_a_broken_promise_is_told(tmp_path: Path, bound: float | None) -> None:
    found = Verified(worst=0.45, threshold=0.5, share_within=0.9, bound=bound)
    check = make_compression().check._replace(found=found)
    _, page = render_demo(tmp_path, make_compression(check=check))
    assert "The promise is not kept." in page.text


def test_nothing_may_be_as_small(tmp_path: Path) -> None:
    photos = [make_compared("one", 20, 20, num_larger=len(THRESHOLDS))]
    _, page = render_demo(tmp_path, make_compression(photos=photos))
    assert page.open == []
    assert "No WebP is as small as our files" in page.text


def test_endless_quality_does_not_stop_the_page(tmp_path: Path) -> None:
    photo = make_compared("one", 20, 20)
    files = [
        file._replace(point=file.point._replace(psnr_db=math.inf, ms_ssim=math.nan))
        for file in photo.files
    ]
    _, page = render_demo(tmp_path, make_compression(photos=[photo._replace(files=files)]))
    assert "\u221e" in page.text


def test_it_wants_a_file_per_threshold(tmp_path: Path) -> None:
    for changes in ({"photos": []}, {"thresholds": []}, {"thresholds": [0.5]}):
        with pytest.raises(ValueError, match="one file per threshold"):
            write_compression_page(make_compression(**changes), tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []
