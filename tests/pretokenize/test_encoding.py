import math

import pytest
import torch

from loopyvq.codec import fit_tables_to_images
from loopyvq.codec.bound import bounded_tokens
from loopyvq.coding import ideal_bits
from loopyvq.data import to_float
from loopyvq.data.token_source import TokenSource
from loopyvq.errors import ConfigError
from loopyvq.models import Tokenizer, TokenizerConfig
from loopyvq.models.prior.site_weighing import priced_tokens
from loopyvq.pretokenize import ImageTokens, Known, KnownConfig, StopRule, encode_images, encoding
from loopyvq.quantize import LoopConfig
from tests.codec.conftest import make_image, make_tables, make_tokenizer
from tests.pretokenize.conftest import make_site_prior, painted

NOTHING = Known(KnownConfig(), 8)


@pytest.fixture
def images():
    return torch.stack([painted(i).float() / 127.5 - 1 for i in range(4)])


@pytest.fixture
def tables(tokenizer):
    return fit_tables_to_images(tokenizer, [painted(i) for i in range(8)])


def test_a_rule_is_that_of_the_loop_and_leaves_it_as_it_was(tokenizer, images):
    for rule in ("threshold", "rate_distortion"):
        found = encode_images(tokenizer, images, StopRule(0.3, 4, rule))
        assert tokenizer.quantizer.stop == "threshold"
        tokenizer.quantizer.stop = rule
        assert torch.equal(found.codes, tokenizer.encode(images, 0.3).codes)
        tokenizer.quantizer.stop = "threshold"


def test_in_context_tokens_are_those_of_files_and_cost_less(tokenizer, images, tables):
    found = encode_images(tokenizer, images, StopRule(0.3, 4, "in_context"), tables)
    latents = tokenizer.latents(images).detach()
    one = bounded_tokens(tokenizer.quantizer, latents[1], 0.3, "in_context", False, 0, tables)
    assert torch.equal(found.codes[1], one.tokens.codes)

    def cost(tokens):
        bits = ideal_bits(tokens.codes[1].numpy(), tokens.lengths[1].numpy(), 16, "context", tables)
        error = (latents[1] - tokenizer.quantizer.decode(tokens)[1]) / tokenizer.quantizer.sigma
        return float(error.square().sum()) + 0.1 * 0.3**2 * float(bits)

    assert cost(found) < cost(encode_images(tokenizer, images, StopRule(0.3, 4)))


def test_codes_of_a_fixed_depth_can_be_weighed(tokenizer, images, tables):
    tokenizer.quantizer.min_length = 2
    nearest = encode_images(tokenizer, images, StopRule(0.0, 2))
    weighed = encode_images(tokenizer, images, StopRule(0.0, 2, weigh=0.8), tables)
    assert bool((weighed.lengths == 2).all())
    assert not torch.equal(weighed.codes, nearest.codes)
    barely = encode_images(tokenizer, images, StopRule(0.0, 2, weigh=1e-6), tables)
    assert float((barely.codes == nearest.codes).float().mean()) > 0.9


def test_a_tune_moves_tokens_to_flat_images(tokenizer, tables):
    noise = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) - 0.5
    images = torch.tensor([1.5, 0.15])[:, None, None, None] * noise
    found = [
        encode_images(tokenizer, images, StopRule(0.2, 4, "in_context", tune=tune), tables)
        for tune in ("psnr", "ms_ssim")
    ]
    plain, tuned = (tokens.lengths.float().mean(dim=(1, 2)) for tokens in found)
    assert tuned[1] > plain[1]
    assert tuned[1] - plain[1] > tuned[0] - plain[0]


def test_looking_again_gives_better_images():
    stop = StopRule(0.3, 4, "in_context")
    tokenizer = make_tokenizer(linear_path=True)
    tables = make_tables(tokenizer)
    pixels = torch.stack([make_image(64, 72, seed=seed) for seed in range(2)])
    images = to_float(pixels)
    errors, counts = [], []
    for effort in (0, 1):
        tokens = encode_images(tokenizer, images, stop._replace(effort=effort), tables)
        painted = tokenizer.decode(tokens, stop.threshold, (64, 72))
        errors.append(float((painted - images).square().mean()))
        counts.append(int(tokens.lengths.sum()))
    assert errors[1] < 0.98 * errors[0]
    assert counts[1] < 1.05 * counts[0]


@pytest.fixture
def prior(tokenizer):
    """A prior that knows nothing of the images."""
    return make_site_prior(tokenizer, std=0.1)


def test_tokens_that_a_prior_chooses_cost_less_under_it(tokenizer, images, prior):
    stop = StopRule(0.6, 4, "prior")
    found = encode_images(tokenizer, images, stop, prior).validate(16)
    latents, sigma = tokenizer.latents(images).detach(), tokenizer.quantizer.sigma

    def cost(tokens):
        error = (latents - tokenizer.quantizer.decode(tokens)) / sigma
        with torch.no_grad():
            bits = float(prior(tokens).total.sum()) / math.log(2)
        return float(error.square().sum()) + stop.price * bits

    for rule in ("threshold", "rate_distortion"):
        assert cost(found) < cost(encode_images(tokenizer, images, StopRule(0.6, 4, rule)))
    looked = encode_images(tokenizer, images, stop._replace(effort=1), prior)
    tuned = encode_images(tokenizer, images, stop._replace(tune="ms_ssim"), prior)
    assert not torch.equal(looked.codes, found.codes)
    assert not torch.equal(tuned.codes, found.codes)


def test_a_look_weighs_the_entries_of_every_image(tokenizer, images, prior, monkeypatch):
    metrics = []

    def recorded(*asked, metric, **more):
        metrics.append(metric)
        return priced_tokens(*asked, metric=metric, **more)

    monkeypatch.setattr(encoding, "priced_tokens", recorded)
    for effort in (0, 1):
        encode_images(tokenizer, images, StopRule(0.6, 4, "prior", effort=effort), prior)
    assert bool((metrics[0] == 1).all())
    assert bool((metrics[1] != 1).any())
    assert not torch.equal(metrics[1][0], metrics[1][2])


def test_a_prior_that_looks_gives_better_images():
    tokenizer = make_tokenizer(linear_path=True)
    prior = make_site_prior(tokenizer, rows=8, columns=9, std=0.02)
    images = to_float(torch.stack([make_image(64, 72, seed=seed) for seed in range(2)]))
    errors, bits = [], []
    for effort in (0, 1):
        stop = StopRule(0.3, tokenizer.quantizer.max_depth, "prior", effort=effort)
        tokens = encode_images(tokenizer, images, stop, prior)
        painted = tokenizer.decode(tokens, stop.threshold, (64, 72))
        errors.append(float((painted - images).square().mean()))
        with torch.no_grad():
            bits.append(float(prior(tokens).total.sum()))
    assert errors[1] < 0.98 * errors[0]
    assert bits[1] < 1.05 * bits[0]


def test_codes_of_a_fixed_depth_can_be_priced_by_a_prior(tokenizer, images):
    prior = make_site_prior(tokenizer, max_depth=2, min_length=2)
    tokenizer.quantizer.min_length = 2
    nearest = encode_images(tokenizer, images, StopRule(0.0, 2))
    for weigh, alike in ((1e-6, True), (0.8, False)):
        stop = StopRule(0.0, 2, "prior", weigh)
        found = encode_images(tokenizer, images, stop, prior)
        assert bool((found.lengths == 2).all())
        assert bool((found.codes == nearest.codes[..., :2]).float().mean() > 0.9) == alike


def test_prices_of_a_prior_need_one_of_this_model(tokenizer, images, prior, tables):
    stop = StopRule(0.3, 4, "prior")
    for other in (None, tables):
        with pytest.raises(ConfigError, match="need a prior of sites and depth"):
            encode_images(tokenizer, images, stop, other)
    with pytest.raises(ConfigError, match="of 9 codes, got 4 of 16"):
        encode_images(tokenizer, images, stop, make_site_prior(tokenizer, codebook_size=9))
    with pytest.raises(ConfigError, match="no prices of lengths"):
        ImageTokens(tokenizer, stop, NOTHING, make_site_prior(tokenizer, lengths="first"))
    tokenizer.quantizer.min_length = 1
    with pytest.raises(ConfigError, match="least length 0, not 1"):
        encode_images(tokenizer, images, stop, prior)


def test_pulls_have_no_prices(images):
    loop = LoopConfig(codebook_size=16, codebook_dim=4, max_depth=4, transform="pull")
    config = TokenizerConfig(channels=(8, 16), encoder_blocks=1, decoder_blocks=1, quantizer=loop)
    tokenizer = Tokenizer(config).eval()
    with pytest.raises(ConfigError, match="residual loops"):
        encode_images(tokenizer, images, StopRule(0.3, 4, "prior"), make_site_prior(tokenizer))


def test_a_rule_comes_back_from_what_is_kept_of_it():
    rule = StopRule(0.25, 3, "in_context", 0.0, "balanced", 2)
    source = TokenSource(threshold=0.25, max_depth=3, stop="in_context", tune="balanced", effort=2)
    assert StopRule.of(source) == rule


@pytest.mark.parametrize("stop", [StopRule(0.3, 4, "in_context"), StopRule(0.0, 2, weigh=0.3)])
def test_weighing_needs_tables(tokenizer, images, stop):
    with pytest.raises(ConfigError, match="need the model's tables"):
        encode_images(tokenizer, images, stop)
    with pytest.raises(ConfigError, match="need the model's tables"):
        ImageTokens(tokenizer, stop, NOTHING)
