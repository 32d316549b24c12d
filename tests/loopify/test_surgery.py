from dataclasses import replace

import pytest
import torch

from loopyvq.errors import ConfigError
from loopyvq.loopify import with_turns
from loopyvq.models import TamingConfig, Tokenizer
from loopyvq.models.taming import plain_quantizer
from loopyvq.quantize import LoopConfig, LoopQuantizer
from tests.interop.conftest import REFERENCE
from tests.loopify.conftest import PLAIN, noise


def latents_of(tokenizer, seed=1):
    rows = tokenizer.latents(noise(16, seed)).flatten(0, 2).detach()
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]


def test_the_first_code_is_the_old_one_at_every_threshold(tokenizer):
    looped, images = with_turns(tokenizer, latents_of(tokenizer)), noise(8, seed=2)
    before = tokenizer.encode(images)
    for threshold in (None, 0.0, 0.1, 100.0):
        after = looped.encode(images, threshold)
        assert torch.equal(after.codes[..., :1], before.codes)
        assert (after.lengths >= 1).all()
    assert torch.equal(looped.encode(images, 100.0).lengths, before.lengths)


def test_one_token_decodes_to_the_old_image(tokenizer):
    looped, images = with_turns(tokenizer, latents_of(tokenizer)), noise(4, seed=2)
    tokens = tokenizer.encode(images)
    for threshold in (None, 0.3):
        image = looped.decode(tokens, threshold)
        torch.testing.assert_close(image, tokenizer.decode(tokens), rtol=0, atol=1e-5)
    assert torch.equal(looped.quantizer.decode(tokens), tokenizer.quantizer.decode(tokens))


def test_further_turns_come_nearer_to_the_latents(tokenizer):
    looped = with_turns(tokenizer, latents_of(tokenizer), max_depth=6)
    z_e = latents_of(tokenizer, seed=5)
    errors = [looped.quantizer(z_e, 0.0, depth).residual_norm.mean() for depth in range(1, 7)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.7 * errors[0]
    gains = looped.quantizer.gains()
    assert gains[:2].tolist() == [1, 1]
    assert gains[2] < 0.95


def test_the_default_threshold_gives_about_two_tokens(tokenizer):
    looped = with_turns(tokenizer, latents_of(tokenizer))
    mean = looped.encode(noise(16, seed=7)).lengths.double().mean()
    assert 1.6 < mean < 2.4


def test_the_old_model_and_what_is_kept_do_not_change(tokenizer):
    before = {name: item.clone() for name, item in tokenizer.state_dict().items()}
    looped = with_turns(tokenizer, latents_of(tokenizer)).train()
    for name, item in tokenizer.state_dict().items():
        assert torch.equal(item, before[name])
    codes = looped.quantizer.codebook.weight.clone()
    looped(noise(4)).image.sum().backward()
    assert torch.equal(looped.quantizer.codebook.weight, codes)
    assert not any(True for _ in looped.quantizer.parameters())


def test_latents_near_zero_get_their_old_code_as_well():
    """The old search always names a code, even where none is nearer than zero."""
    torch.manual_seed(0)
    old = LoopQuantizer(replace(PLAIN, scale="absolute"))
    old.codebook.set(5 + torch.randn(16, 4))
    config = TamingConfig(
        base_channels=32, multipliers=(1,), attention_levels=(), latent_channels=4,
        quantizer=plain_quantizer(16, 4),
    )  # fmt: skip
    tokenizer = Tokenizer(config).eval()
    tokenizer.quantizer.codebook.set(old.codebook.weight)
    z_e = 0.1 * torch.randn(200, 4)
    looped = with_turns(tokenizer, z_e)
    assert torch.equal(looped.quantizer.encode(z_e).codes[:, 0], old.eval().encode(z_e).codes[:, 0])


def test_the_reference_checkpoint_of_taming_keeps_its_codes(tmp_path):
    if not REFERENCE.is_dir():
        pytest.skip(f"needs the reference files in {REFERENCE}")
    import numpy as np

    from loopyvq.checkpoint import load_tokenizer
    from loopyvq.interop.taming import from_taming

    from_taming(REFERENCE / "vqgan.ckpt", REFERENCE / "vqgan.yaml", tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    expected = np.load(REFERENCE / "io.npz")
    for images, codes in (("images", "vq_codes"), ("images_rect", "vq_codes_rect")):
        pixels = torch.from_numpy(expected[images])
        looped = with_turns(tokenizer, tokenizer.latents(pixels).flatten(0, 2).detach())
        for threshold in (0.0, 0.5, 1e9):
            found = looped.encode(pixels, threshold).codes[..., 0].flatten(1)
            assert torch.equal(found, torch.from_numpy(expected[codes]).reshape(found.shape))


@pytest.mark.parametrize(
    ("loop", "message"),
    [
        (replace(PLAIN, max_depth=3), "has up to 3 tokens per site already"),
        (LoopConfig(codebook_dim=4, max_depth=1, transform="pull"), "a pull has one code"),
    ],
)
def test_other_loops_are_refused(loop, message):
    from loopyvq.models import TokenizerConfig

    tokenizer = Tokenizer(TokenizerConfig(channels=(8, 16), quantizer=loop))
    with pytest.raises(ConfigError, match=message):
        with_turns(tokenizer, torch.randn(20, 4))


def test_learned_scores_and_a_single_turn_are_refused(tokenizer):
    config = TamingConfig(
        base_channels=32, multipliers=(1,), attention_levels=(), latent_channels=4,
        quantizer=plain_quantizer(16, 4), assignment="gumbel",
    )  # fmt: skip
    with pytest.raises(ConfigError, match="a Gumbel quantizer chooses its code by a learned score"):
        with_turns(Tokenizer(config), torch.randn(20, 4))
    with pytest.raises(ConfigError, match="max_depth must be at least 2"):
        with_turns(tokenizer, torch.randn(20, 4), max_depth=1)
