import math
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from loopyvq.codec import Verified
from loopyvq.demo.compression_result import (
    OTHERS,
    BoundCheck,
    ComparedFile,
    ComparedPhoto,
    CompressionDemo,
    OtherFile,
)
from loopyvq.demo.report import write_report
from loopyvq.demo.result import DemoPhoto, DemoResult
from loopyvq.evaluation import ImageResult, OperatingPoint, PointResult
from loopyvq.evaluation.rd_baselines import write_baseline
from loopyvq.evaluation.rd_points import measure_point
from loopyvq.metrics.codebook import measure_usage
from loopyvq.metrics.distortion import Distortion
from loopyvq.metrics.rate import estimate_rate
from loopyvq.models import TokenizerConfig
from loopyvq.quantize import LoopConfig
from loopyvq.tokens import CONTINUE, PAD, Tokens

THRESHOLDS = (1.25, 0.8, 0.5, 0.3, 0.125)
DEPTH, SIZE, FACTOR = 4, 16, 8
EVIL = "<script>alert('x')</script> & \"co\".png"
_VOID = {"br", "meta", "link", "img", "input"}


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
        if tag not in _VOID:
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
        model_file="my runs/last.safetensors",
        training_photos=["rocket", EVIL],
        seed=7,
    )
    return result._replace(**changes)  # type: ignore[arg-type]


def make_compared(name: str, height: int, width: int, num_larger: int = 1) -> ComparedPhoto:
    """A photograph whose first files have no JPEG that is as small."""
    photo, files = make_photo(name, height, width), []
    for index, result in enumerate(photo.results):
        size = 100 * (index + 1)
        ours = measure_point(
            "loopyvq", f"{THRESHOLDS[index]}", name, size, result.reconstruction, photo.original
        )
        others = []
        for system in OTHERS:
            fits = index >= num_larger
            data = write_baseline(system, photo.original, 5)
            psnr_db = ours.psnr_db - 2.0
            point = ours._replace(
                system=system, num_bytes=size - 10 if fits else 3 * size, psnr_db=psnr_db
            )
            others.append(OtherFile(point, data, fits))
        path = f"my runs/{name}-{index + 1}.lvq"
        files.append(ComparedFile(path, ours, result.reconstruction, result.tokens, others))
    return ComparedPhoto(name, photo.original, files)


def make_compression(**changes: object) -> CompressionDemo:
    found = Verified(worst=0.4999, threshold=0.5, share_within=1.0, bound=0.5)
    demo = CompressionDemo(
        photos=[make_compared(EVIL, 45, 70), make_compared("two", 64, 48, num_larger=2)],
        thresholds=list(THRESHOLDS),
        check=BoundCheck("my runs/two-bounded.lvq", 4321, 54, 7, found),
        model="some-model",
        model_bytes=2_345_678,
        config=TokenizerConfig(quantizer=LoopConfig(codebook_size=SIZE, max_depth=DEPTH)),
        num_parameters=1_234_567,
        learned=[],
    )
    return demo._replace(**changes)  # type: ignore[arg-type]


def render(folder: Path, result: DemoResult) -> tuple[str, Page]:
    path = folder / "deep" / "report.html"
    write_report(result, path)
    text = path.read_text("utf-8")
    return text, Page(text)


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page]:
    return render(tmp_path_factory.mktemp("page"), make_result())
