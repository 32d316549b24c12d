import base64
import io
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from PIL import Image

from loopyvq.demo.report import write_report
from loopyvq.demo.result import DemoPhoto, DemoResult
from loopyvq.evaluation import ImageResult, OperatingPoint, PointResult
from loopyvq.metrics.codebook import measure_usage
from loopyvq.metrics.distortion import Distortion
from loopyvq.metrics.rate import estimate_rate
from loopyvq.models import TokenizerConfig
from loopyvq.quantize import LoopConfig
from loopyvq.tokens import CONTINUE, PAD, Tokens

THRESHOLDS = (1.25, 0.8, 0.5, 0.3, 0.125)
DEPTH, SIZE, FACTOR = 4, 16, 8
EVIL = "<script>alert('x')</script> & \"co\".png"
VOID = {"meta", "link", "img", "input"}


class Page(HTMLParser):
    """Check that tags nest, and keep them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.texts.append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def make_photo(name: str, height: int, width: int, empty: bool = False) -> DemoPhoto:
    generator = torch.Generator().manual_seed(height)
    rows, columns = -(-height // FACTOR), -(-width // FACTOR)

    def pixels() -> torch.Tensor:
        return torch.randint(0, 256, (3, height, width), generator=generator).to(torch.uint8)

    results = []
    for index, threshold in enumerate(THRESHOLDS):
        lengths = torch.randint(0, min(DEPTH, index + 1) + 1, (rows, columns), generator=generator)
        lengths = torch.zeros_like(lengths) if empty else lengths
        codes = torch.randint(0, SIZE, (rows, columns, DEPTH), generator=generator)
        codes[..., 1] = CONTINUE
        codes = torch.where(torch.arange(DEPTH) < lengths.unsqueeze(2), codes, PAD)
        tokens = Tokens(codes, lengths)
        psnr = math.inf if index == len(THRESHOLDS) - 1 else 20.0 + index
        results.append(
            ImageResult(
                name,
                OperatingPoint(threshold, DEPTH),
                pixels(),
                tokens,
                torch.zeros(rows, columns),
                Distortion(psnr, math.nan, math.nan),
                estimate_rate([tokens], SIZE),
                height * width,
            )
        )
    return DemoPhoto(name, pixels(), results)


def make_point(threshold: float, depth: int, rate_bpp: float, psnr_db: float) -> PointResult:
    usage = measure_usage(torch.tensor([[1, 2, PAD, PAD], [3, PAD, PAD, PAD]]), SIZE)
    return PointResult(
        threshold=threshold,
        depth=depth,
        num_images=3,
        tokens_per_image=1234.0,
        tokens_per_site=1.875,
        bits_per_image=5000.0,
        rate_bpp=rate_bpp,
        stop_bpp=0.0625,
        psnr_db=psnr_db,
        ssim=0.734,
        ms_ssim=math.nan,
        share_within_threshold=0.987,
        length_histogram=[3, 1, 0, 0, 2],
        turns=usage,
        spread_of_energies=0.4,
    )


def make_result(**changes: object) -> DemoResult:
    points = [make_point(t, DEPTH, 0.1 * (i + 1), 20.0 + i) for i, t in enumerate(THRESHOLDS)]
    points[-1] = points[-1]._replace(psnr_db=math.inf)
    quantizer = LoopConfig(codebook_size=SIZE, max_depth=DEPTH)
    result = DemoResult(
        photos=[
            make_photo(EVIL, 45, 70),
            make_photo("two", 64, 48),
            make_photo("no", 16, 16, True),
        ],
        points=points,
        fixed_depth=[make_point(0.0, d, 0.12 * d, 19.5 + d) for d in range(1, DEPTH + 1)],
        config=TokenizerConfig(quantizer=quantizer),
        num_parameters=1_234_567,
        steps=4321,
        training_s=121.4,
        history=[
            {"step": 20, "psnr_db": 12.5, "mean_length": 1.0},
            {"step": 40, "psnr_db": None, "mean_length": math.nan, "gains": [1.0]},
            {"step": 60, "psnr_db": 15.0, "mean_length": 2.0},
            {"step": 60, "validation_score": 14.0},
        ],
    )
    return result._replace(**changes)  # type: ignore[arg-type]


def render(folder: Path, result: DemoResult) -> tuple[str, Page]:
    path = folder / "deep" / "report.html"
    write_report(result, path)
    text = path.read_text("utf-8")
    return text, Page(text)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page]:
    return render(tmp_path_factory.mktemp("page"), make_result())


def test_the_page_is_well_formed(written: tuple[str, Page]) -> None:
    text, page = written
    assert page.open == []
    assert text.startswith("<!doctype html>")
    assert not re.search(r"\$[a-z_{]+", re.sub(r"\$\{", "", text))


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


def test_not_a_number_is_a_dash(written: tuple[str, Page]) -> None:
    assert "SSIM \u2013" in written[1].text
    assert "nan" not in written[1].text.lower().split()


def test_the_middle_threshold_shows_without_a_script(written: tuple[str, Page]) -> None:
    tags = [attributes for _, attributes in written[1].tags if "data-show" in attributes]
    visible = [attributes["data-show"] for attributes in tags if "hidden" not in attributes]
    assert set(visible) == {"2"}
    assert {attributes["data-show"] for attributes in tags} == {"0", "1", "2", "3", "4"}
    assert len(tags) == len(THRESHOLDS) * len(visible)
    radios = [attributes for attributes in written[1].all("input") if "checked" in attributes]
    assert [radio["value"] for radio in radios] == ["2"]


def test_maps_carry_the_lengths(written: tuple[str, Page]) -> None:
    maps = [attributes for attributes in written[1].all("img") if "data-lengths" in attributes]
    assert len(maps) == 3 * len(THRESHOLDS)
    assert len(str(maps[0]["data-lengths"])) == 6 * 9
    assert maps[0]["style"] == "width:102.8571%;height:106.6667%"


def test_tokens_are_spelled(written: tuple[str, Page]) -> None:
    chips = [tag["class"] for _, tag in written[1].tags if str(tag.get("class")).startswith("chip")]
    assert {"chip code", "chip dummy", "chip stop", "chip count"} <= set(chips)


def test_the_gap_is_taken_at_equal_bits(tmp_path: Path) -> None:
    points = [make_point(0.5, DEPTH, 0.18, 22.0), make_point(0.3, DEPTH, 9.0, 30.0)]
    photos = [photo._replace(results=photo.results[:2]) for photo in make_result().photos]
    _, page = render(tmp_path, make_result(points=points, photos=photos))
    assert "+1.0 dB at threshold 0.5, in this run" in page.text


def test_commands_name_the_model_beside_the_page(tmp_path: Path) -> None:
    folder = tmp_path / "my runs"
    folder.mkdir()
    (folder / "best.safetensors").touch()
    write_report(make_result(), folder / "report.html")
    page = Page((folder / "report.html").read_text("utf-8"))
    assert f"loopyvq encode '{folder}' photo.jpg --threshold 0.125" in page.text
    assert "MODEL" not in page.text


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
