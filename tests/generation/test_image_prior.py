from dataclasses import replace

import pytest
import torch

from loopyvq.checkpoint import model_identity, save_prior, save_tokenizer
from loopyvq.data.token_source import TokenSource
from loopyvq.errors import CheckpointError
from loopyvq.generation.image_prior import ImagePrior, class_numbers, open_image_prior
from loopyvq.generation.windows import Windows
from loopyvq.models import Tokenizer
from loopyvq.models.prior.flat_tokens import FlatTokensConfig, FlatTokensPrior
from tests.generation.conftest import DEPTH, SIZE

NAMES = TokenSource(classes=3, class_names=("Annual Crop", "Forest", "River"), condition="class")


@pytest.fixture
def model(prior, tiny_config) -> ImagePrior:
    torch.manual_seed(0)
    tokenizer = Tokenizer(tiny_config).eval()
    source = TokenSource(
        tokenizer=model_identity(tokenizer),
        tokenizer_path="tokenizer.safetensors",
        codebook_size=SIZE,
        max_depth=DEPTH,
        rows=4,
        columns=4,
        height=30,
        width=32,
    )
    return ImagePrior(prior, tokenizer, source)


def test_a_prior_finds_its_tokenizer(model, tmp_path):
    save_tokenizer(tmp_path / "tokenizer.safetensors", model.tokenizer)
    save_prior(tmp_path / "prior.safetensors", model.prior, model.source)
    found = open_image_prior(tmp_path)
    assert found.source == model.source
    assert model_identity(found.tokenizer) == model.source.tokenizer
    (tmp_path / "tokenizer.safetensors").rename(tmp_path / "moved.safetensors")
    with pytest.raises(CheckpointError, match="name it"):
        open_image_prior(tmp_path)
    assert open_image_prior(tmp_path, tmp_path / "moved.safetensors").source == model.source


def test_a_prior_that_does_not_know_its_tokens(model, tmp_path):
    save_prior(tmp_path / "prior.safetensors", model.prior)
    with pytest.raises(CheckpointError, match="use it from Python"):
        open_image_prior(tmp_path)


def test_sizes_and_windows(model):
    assert model.trained_size == (30, 32)
    assert model.grid_of((30, 33)) == (4, 5)
    assert model.windows() == Windows(4, 4, 2)
    assert model.windows((3, 1)) == Windows(3, 1, 1)
    assert model.windows((4, 3), 3) == Windows(4, 3, 3)
    with pytest.raises(ValueError, match="up to 4 x 4 sites, got 4 x 5"):
        model.windows((4, 5))
    with pytest.raises(ValueError, match=r"stride must be within 1\.\.4"):
        model.windows(stride=0)
    with pytest.raises(ValueError, match="got 0 x 5"):
        model.grid_of((0, 5))


def test_classes_by_name_or_number():
    assert class_numbers(["River", "1", "Annual Crop"], NAMES).tolist() == [2, 1, 0]
    with pytest.raises(ValueError, match="did you mean 'Forest'"):
        class_numbers(["forrest"], NAMES)
    with pytest.raises(ValueError, match=r"choose one of Annual Crop, Forest, River \(0 to 2\)"):
        class_numbers(["3"], NAMES)
    with pytest.raises(ValueError, match="without classes"):
        class_numbers(["1"], TokenSource())
    assert class_numbers(["1"], replace(NAMES, class_names=())).tolist() == [1]


def test_when_each_site_is_drawn(model):
    windows = model.windows()
    assert torch.equal(model.ranks(windows, (4, 6)), windows.ranks((4, 6)))
    known = torch.ones(4, 6, dtype=torch.bool)
    assert torch.equal(model.ranks(windows, (4, 6), known), windows.ranks((4, 6), known))
    flat = FlatTokensPrior(FlatTokensConfig(SIZE, DEPTH, order="spiral_in", rows=4, columns=4))
    assert not model._replace(prior=flat).ranks(windows, (4, 6)).any()
