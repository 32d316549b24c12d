import pytest
import torch

from loopyvq.checkpoint import save_prior, save_tokenizer
from loopyvq.cli.main import main
from loopyvq.errors import CheckpointError
from loopyvq.evaluation.classifier import ClassifierConfig, SmallClassifier, save_classifier
from loopyvq.generation.converted import converted_source, place_symbols
from loopyvq.generation.image_prior import open_image_prior
from loopyvq.generation.known_images import told_places
from loopyvq.models import Tokenizer, TokenizerConfig
from loopyvq.models.prior.base import Request
from loopyvq.models.prior.flat_prior import FlatPriorConfig
from loopyvq.models.prior.sampling import SamplingConfig
from loopyvq.models.taming.prior import TamingPrior, TamingPriorConfig
from loopyvq.quantize import LoopConfig


def tokenizer_of(max_depth: int = 1) -> Tokenizer:
    torch.manual_seed(0)
    loop = LoopConfig(codebook_size=16, codebook_dim=4, max_depth=max_depth, threshold=0.0)
    return Tokenizer(TokenizerConfig(channels=(8, 16), quantizer=loop)).eval()


def prior_of(condition: str, context: int, vocabulary: int = 16, **options: int) -> TamingPrior:
    sizes = FlatPriorConfig(vocabulary, context, layers=1, heads=2, width=8)
    config = TamingPriorConfig(condition, condition_downsampling=8, prior=sizes, **options)
    torch.manual_seed(1)
    return TamingPrior(config).eval()


@pytest.mark.parametrize(
    ("prior", "side", "classes"),
    [
        (prior_of("none", 16), 4, 0),
        (prior_of("class", 16), 4, 16),
        (prior_of("class", 16, condition_codes=3), 4, 3),
        (prior_of("coordinates", 32, condition_codes=15), 4, 0),
        (prior_of("none", 99, permuted_sites=25), 5, 0),
    ],
)
def test_the_grid_follows_from_the_sizes(prior, side, classes):
    source = converted_source(prior, tokenizer_of(), "x")
    assert (source.rows, source.columns, source.height) == (side, side, 8 * side)
    assert source.classes == classes
    assert (source.min_length, source.max_depth) == (1, 1)


@pytest.mark.parametrize("prior", [prior_of("none", 15), prior_of("tokens", 32)])
def test_sizes_that_tell_no_grid(prior):
    with pytest.raises(CheckpointError, match="does not tell its grid"):
        converted_source(prior, tokenizer_of(), "x")


def test_a_tokenizer_of_many_turns_is_another_one():
    with pytest.raises(CheckpointError, match="another tokenizer"):
        converted_source(prior_of("none", 16), tokenizer_of(2), "x")


def test_symbols_of_places_are_those_of_the_whole_image():
    prior = prior_of("coordinates", 32, condition_codes=15)
    symbols = place_symbols(prior, (4, 4), 8, 2)
    assert symbols.shape == (2, 4, 4)
    rows = symbols[0, :, 0].tolist()
    assert rows == sorted(rows)
    assert rows[0] < 4
    assert rows[-1] >= 11


@pytest.mark.parametrize("condition", ["none", "class", "coordinates"])
def test_images_are_drawn_at_any_size(condition, tmp_path, capsys):
    options = {"condition_codes": 15} if condition != "none" else {}
    save_tokenizer(tmp_path / "model.safetensors", tokenizer_of())
    prior = prior_of(condition, 32 if condition == "coordinates" else 16, **options)
    save_prior(tmp_path / "prior.safetensors", prior)
    model = open_image_prior(tmp_path)
    told = told_places(model, (32, 48), 2)
    assert (told.symbols is not None) == (condition == "coordinates")
    words = ["sample", tmp_path, "--count", 2, "--size", "32x48", "--out", tmp_path / "out"]
    assert main([str(word) for word in words]) == 0, capsys.readouterr().err
    assert len(list((tmp_path / "out").glob("0*.png"))) == 2


def test_symbols_beyond_the_codebook_are_not_drawn(tmp_path):
    save_tokenizer(tmp_path / "model.safetensors", tokenizer_of())
    save_prior(tmp_path / "prior.safetensors", prior_of("none", 16, vocabulary=40))
    model = open_image_prior(tmp_path)
    drawn = model.prior.generate(Request((4, 4), 4), SamplingConfig(), torch.Generator())
    assert int(drawn.codes.max()) < 16
    everything = Request((4, 4), 4, known=drawn, mask=torch.ones(4, 4, 4, dtype=torch.bool))
    again = model.prior.generate(everything, SamplingConfig(), torch.Generator())
    assert torch.equal(again.codes, drawn.codes)


def test_a_classifier_of_other_classes_judges_nothing(tmp_path, capsys):
    save_tokenizer(tmp_path / "model.safetensors", tokenizer_of())
    save_prior(tmp_path / "prior.safetensors", prior_of("class", 16, condition_codes=5))
    judge = tmp_path / "classifier.safetensors"
    save_classifier(judge, SmallClassifier(ClassifierConfig(class_names=("0", "1"), width=2)))
    words = ["sample", tmp_path, "--class", 4, "--reject", 0.5, "--classifier", judge]
    words += ["--out", tmp_path / "out", "--count", 1]
    assert main([str(word) for word in words]) == 2
    assert f"{judge} knows other classes than {tmp_path}" in capsys.readouterr().err
