import pytest
import torch

from loopyvq.codec import fit_tables_to_images
from loopyvq.codec.bound import bounded_tokens
from loopyvq.coding import ideal_bits
from loopyvq.data import to_float
from loopyvq.data.token_source import TokenSource
from loopyvq.errors import ConfigError
from loopyvq.pretokenize import ImageTokens, Known, KnownConfig, StopRule, encode_images
from tests.codec.conftest import make_image, make_tables, make_tokenizer
from tests.pretokenize.conftest import painted

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
