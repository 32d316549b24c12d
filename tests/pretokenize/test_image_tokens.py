import pytest
import torch

from loopyvq.checkpoint import model_identity
from loopyvq.data import ConditionDataConfig, Sample, open_image_set
from loopyvq.errors import ConfigError
from loopyvq.pretokenize import ImageTokens, Known, KnownConfig, StopRule
from loopyvq.pretokenize.image_tokens import path_hint
from tests.pretokenize.conftest import painted

CLASSES = Known(KnownConfig(ConditionDataConfig(kind="class")), 8)


def sample():
    return Sample(
        torch.stack([painted(i).float() / 127.5 - 1 for i in range(3)]), torch.tensor([0, 1, 1])
    )


def test_tokens_are_those_of_the_tokenizer(tokenizer):
    tokens, condition = ImageTokens(tokenizer, StopRule(0.3, 4), CLASSES)(sample())
    expected = tokenizer.encode(sample().image, 0.3)
    assert torch.equal(tokens.codes, expected.codes)
    assert torch.equal(tokens.lengths, expected.lengths)
    assert condition.classes.tolist() == [0, 1, 1]


def test_a_rule_is_followed_and_noted(tokenizer, pictures, tokenizer_path, tmp_path):
    stop = StopRule(0.3, 4, "rate_distortion")
    to_tokens = ImageTokens(tokenizer, stop, CLASSES)
    tokens, _ = to_tokens(sample())
    assert not torch.equal(tokens.lengths, tokenizer.encode(sample().image, 0.3).lengths)
    source = to_tokens.source(open_image_set(pictures), 30, tokenizer_path, tmp_path / "shards")
    assert source.stop == "rate_distortion"


def test_a_fixed_depth_gives_every_site_as_many(tokenizer):
    to_tokens = ImageTokens(tokenizer, StopRule(0.0, 2), CLASSES)
    tokens, _ = to_tokens(sample())
    assert tokens.codes.shape == (3, 4, 4, 2)
    assert (tokens.lengths == 2).all()
    image = tokenizer.decode(tokens, 0.0)
    assert torch.equal(image, tokenizer.decode(tokenizer.encode(sample().image, 0.0, 2), 0.0))


def test_a_source_says_all_that_is_needed(tokenizer, pictures, tokenizer_path, tmp_path):
    images = open_image_set(pictures)
    to_tokens = ImageTokens(tokenizer, StopRule(0.0, 2), CLASSES)
    source = to_tokens.source(images, 30, tokenizer_path.parent, tmp_path / "a" / "shards")
    assert source.tokenizer == model_identity(tokenizer)
    assert source.tokenizer_path == "../../tokenizer/best.safetensors"
    assert source.tokenizer_file(tmp_path / "a" / "shards").resolve() == tokenizer_path
    assert (source.rows, source.columns, source.height) == (4, 4, 30)
    assert (source.min_length, source.max_depth, source.codebook_size) == (2, 2, 16)
    assert source.class_names == ("ant", "bee")


def test_a_hint_starts_at_the_folder(tmp_path):
    assert path_hint(tmp_path / "model.safetensors", tmp_path / "runs") == "../model.safetensors"


@pytest.mark.parametrize("stop", [StopRule(0.3, 5), StopRule(-1.0, 2), StopRule(0.3, 0)])
def test_stops_out_of_range_are_refused(tokenizer, stop):
    with pytest.raises(ConfigError, match="depth must be within"):
        ImageTokens(tokenizer, stop, CLASSES)
