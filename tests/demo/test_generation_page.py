import re

import pytest
import torch

from loopyvq.data.token_source import TokenSource
from loopyvq.demo.drawn import Completion, GenerationDemo
from loopyvq.demo.generation_page import write_generation_page
from loopyvq.generation import ImagePrior, mask_of_region
from loopyvq.models import Tokenizer
from loopyvq.tokens import Tokens
from tests.demo.conftest import EVIL, Page
from tests.generation.conftest import DEPTH, SIZE, make_prior


@pytest.fixture
def result(tiny_config) -> GenerationDemo:
    source = TokenSource(
        codebook_size=SIZE,
        max_depth=DEPTH,
        rows=4,
        columns=4,
        height=32,
        width=32,
        classes=2,
        class_names=("Forest", EVIL),
    )
    model = ImagePrior(make_prior(), Tokenizer(tiny_config).eval(), source)
    codes = torch.zeros(3, 4, 4, DEPTH, dtype=torch.int64)
    tokens = Tokens(codes, torch.full((3, 4, 4), DEPTH))
    image = torch.zeros(3, 32, 32, dtype=torch.uint8)
    mask = mask_of_region("top-half", (4, 4))
    return GenerationDemo(
        model=model,
        data=EVIL,
        samples=image.expand(3, -1, -1, -1),
        tokens=tokens,
        moments=[(8, tokens), (16, tokens)],
        completions=[Completion(image, mask, image, image.expand(3, -1, -1, -1), tokens)],
        num_training=12345,
        training_s=271.0,
        history=[
            {"step": 1, "nats_per_site": 9.0, "rate_bpp": 0.9},
            {"step": 2, "nats_per_site": None},
            {"step": 2, "validation_nats_per_site": 8.0, "validation_rate_bpp": 0.123},
        ],
        prior_file="my runs/best.safetensors",
    )


def test_the_page_is_well_formed_and_complete_in_itself(result, tmp_path):
    write_generation_page(result, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    page = Page(text)
    assert page.open == []
    assert "<script" not in text
    assert EVIL in page.text
    plain = re.sub("data:[^\"']+", "", text)
    assert not re.search(r"https?:|@import|url\((?!#)|\$[a-z{]", plain)
    assert len(page.all("img")) == 3 * 2 + 1 + 6


@pytest.mark.parametrize(
    "words",
    ["12,345", "4 min 31 s", "0.12", "48.0", "Forest, 48 tokens", "loopyvq sample 'my runs/best"],
)
def test_numbers_and_commands(result, tmp_path, words):
    write_generation_page(result, tmp_path / "page.html")
    assert words in Page((tmp_path / "page.html").read_text("utf-8")).text


def test_hardly_anything_to_show(result, tmp_path):
    bare = result._replace(history=[], completions=[], moments=[])
    write_generation_page(bare, tmp_path / "page.html")
    page = Page((tmp_path / "page.html").read_text("utf-8"))
    assert page.open == []
    assert "No measurements" in page.text
