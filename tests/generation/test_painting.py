from dataclasses import replace

import pytest
import torch

from loopyvq.data.token_source import TokenSource
from loopyvq.generation.drawing import Generators
from loopyvq.generation.image_prior import ImagePrior
from loopyvq.generation.painting import Film, encode_like, paint
from loopyvq.generation.windows import Windows, generate_by_windows
from loopyvq.models import Tokenizer
from loopyvq.models.prior.base import Request
from loopyvq.models.prior.sampling import SamplingConfig
from loopyvq.pretokenize import StopRule, encode_images
from loopyvq.tokens import Tokens
from tests.pretokenize.conftest import make_site_prior


@pytest.fixture
def tokenizer(tiny_config) -> Tokenizer:
    torch.manual_seed(1)
    return Tokenizer(tiny_config).eval()


def tokens_of(count: int) -> Tokens:
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 16, (count, 2, 3, 4), generator=generator)
    return Tokens(codes, torch.full((count, 2, 3), 4))


def test_images_do_not_depend_on_those_beside_them(tokenizer):
    tokens = tokens_of(5)
    images = list(paint(tokenizer, tokens, 0.5, (14, 20)))
    assert [image.shape for image in images] == [(3, 14, 20)] * 5
    alone = Tokens(tokens.codes[3:4], tokens.lengths[3:4])
    assert torch.equal(next(paint(tokenizer, alone, 0.5, (14, 20))), images[3])
    assert not torch.equal(images[0], images[1])


def test_tokens_of_another_tokenizer(tokenizer):
    codes, lengths = tokens_of(1)
    with pytest.raises(ValueError, match=r"codes must be 0\.\.15"):
        next(paint(tokenizer, Tokens(codes + 9, lengths), 0.5))


@pytest.mark.parametrize("rule", ["threshold", "rate_distortion"])
def test_images_are_encoded_by_the_rule_of_the_shards(tokenizer, rule):
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    source = TokenSource(threshold=0.5, max_depth=4, min_length=0, stop=rule)
    found = encode_like(ImagePrior(None, tokenizer, source), images)
    assert tokenizer.quantizer.stop == "threshold"
    tokenizer.quantizer.stop = rule
    assert torch.equal(found.codes, tokenizer.encode(images, 0.5).codes)
    other = "threshold" if rule == "rate_distortion" else "rate_distortion"
    tokenizer.quantizer.stop = other
    assert not torch.equal(found.lengths, tokenizer.encode(images, 0.5).lengths)


def test_images_get_the_least_length_of_the_shards_and_the_model_keeps_its_own(tokenizer):
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    tokenizer.quantizer.min_length = 1
    for least in (0, 3):
        source = TokenSource(threshold=100.0, max_depth=4, min_length=least)
        found = encode_like(ImagePrior(None, tokenizer, source), images)
        assert bool((found.lengths == least).all())
        assert tokenizer.quantizer.min_length == 1


def test_a_prior_asks_itself_where_another_one_was_asked(tokenizer):
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    prior = make_site_prior(tokenizer)
    source = TokenSource(threshold=0.8, max_depth=4, rows=4, columns=4, stop="prior")
    found = encode_like(ImagePrior(prior, tokenizer, source), images)
    expected = encode_images(tokenizer, images, StopRule(0.8, 4, "prior"), prior)
    assert torch.equal(found.codes, expected.codes)
    plain = encode_images(tokenizer, images, StopRule(0.8, 4))
    assert not torch.equal(found.codes, plain.codes)
    small = ImagePrior(make_site_prior(tokenizer, rows=1), tokenizer, replace(source, rows=1))
    nearest = encode_images(tokenizer, images, StopRule(0.8, 4, "rate_distortion"))
    assert torch.equal(encode_like(small, images).codes, nearest.codes)
    fixed = replace(source, rows=1, threshold=0.0, weigh=0.5, max_depth=2, min_length=2)
    found = encode_like(ImagePrior(small.prior, tokenizer, fixed), images)
    assert bool((found.lengths == 2).all())


def test_a_film_keeps_some_moments(prior):
    film = Film(24, frames=6, images=2)
    whole = generate_by_windows(
        prior, Request((4, 6), 3), Windows(4, 4, 2), SamplingConfig(), Generators(0), film
    )
    counts = [count for count, _ in film.moments]
    assert counts[-1] == 24
    assert 6 <= len(counts) <= 8
    assert film.moments[0][1].lengths.shape == (2, 4, 6)
    assert torch.equal(film.moments[-1][1].codes, whole.codes[:2])
    assert film.moments[0][1].num_tokens < film.moments[-1][1].num_tokens
