import numpy as np
import pytest
import torch

from loopyvq.codec import aiming
from loopyvq.codec.aiming import aim_again
from loopyvq.codec.decoder_input import DecoderInput
from loopyvq.codec.stakes import Aim
from loopyvq.codec.tiles import latents_in_tiles, paint_in_tiles
from loopyvq.data import to_float
from loopyvq.losses import ms_ssim, scale_weights_for
from tests.codec.conftest import make_image, make_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    """One whose decoder makes images of what its encoder takes from them."""
    return make_tokenizer(linear_path=True)


@pytest.fixture(scope="module")
def chosen(tokenizer):
    """An image, its latents, and a first choice of few tokens, as a reader decodes it."""
    image = make_image(8 * 12, 8 * 13 - 3)
    latents = latents_in_tiles(tokenizer, image)
    tokens = tokenizer.quantizer.encode(latents, 0.5)
    return image, latents, tokenizer.quantizer.decode(tokens), tokens.lengths


def seen(tokenizer, z_q, lengths, image):
    with torch.no_grad():
        whole = tokenizer.paint(z_q.unsqueeze(0), lengths.unsqueeze(0), 0.5)
    return whole[..., : image.shape[1], : image.shape[2]]


def squared_error(tokenizer, z_q, lengths, image):
    return float((seen(tokenizer, z_q, lengths, image) - to_float(image)).square().sum())


def similarity(tokenizer, z_q, lengths, image):
    pair = seen(tokenizer, z_q, lengths, image), to_float(image).unsqueeze(0)
    return float(ms_ssim(*pair, 2.0, scale_weights_for(min(image.shape[1:]))))


def test_going_there_makes_a_better_image_than_going_to_the_latents(tokenizer, chosen):
    image, latents, z_q, lengths = chosen
    aim = aim_again(tokenizer, image, Aim(latents), DecoderInput(z_q, lengths, 0.5), "psnr")
    ends = [z_q + 0.1 * (goal - z_q) for goal in (aim.latents, latents)]
    there, to_latents = (squared_error(tokenizer, end, lengths, image) for end in ends)
    assert there < to_latents < squared_error(tokenizer, z_q, lengths, image)


def test_structure_leads_to_more_similarity(tokenizer, chosen):
    image, latents, z_q, lengths = chosen
    found = {}
    for tune in ("psnr", "balanced", "ms_ssim"):
        aim = aim_again(tokenizer, image, Aim(latents), DecoderInput(z_q, lengths, 0.5), tune)
        step = aim.latents - latents
        end = z_q + 0.1 * step / step.norm() * (latents - z_q).norm()
        found[tune] = similarity(tokenizer, end, lengths, image)
    assert found["psnr"] < found["balanced"] < found["ms_ssim"]


def test_structure_leaves_brightness_to_the_squared_error(tokenizer, chosen, monkeypatch):
    monkeypatch.setattr("loopyvq.codec.aiming._best_length", lambda *_: 1.0)
    image, latents, z_q, lengths = chosen
    image, found = image.clamp(30, 200), []
    for target in (image, image + 25):
        squared, both = (
            aim_again(
                tokenizer, target, Aim(latents), DecoderInput(z_q, lengths, 0.5), tune
            ).latents
            - latents
            for tune in ("psnr", "ms_ssim")
        )
        found.append(both - 0.5 * squared)
    assert found[0].norm() > 0.1 * (latents - z_q).norm()
    assert torch.allclose(*found, atol=1e-4)


def test_a_site_weighs_more_where_its_structure_is_lost(tokenizer):
    image = make_image(8 * 12, 8 * 16)
    latents = latents_in_tiles(tokenizer, image)
    kept = torch.full((12, 16, 1), 0.9)
    kept[:, 8:] = 0.3
    lengths = torch.ones(12, 16, dtype=torch.long)
    before = np.full((12, 16), 2.0)
    found = {
        tune: aim_again(
            tokenizer,
            image,
            Aim(latents, None, before),
            DecoderInput(kept * latents, lengths, 0.5),
            tune,
        ).importance
        for tune in ("psnr", "balanced", "ms_ssim")
    }
    assert (found["psnr"] == 2).all()
    for tune in ("balanced", "ms_ssim"):
        assert found[tune].min() > 0
        assert np.log(found[tune]).mean() == pytest.approx(np.log(2))  # who pays, not how much
    gains = [found[tune][:, 9:].mean() / found[tune][:, :7].mean() for tune in found]
    assert gains[0] == 1
    assert min(gains[1:]) > 2


def test_the_metric_says_what_the_image_shows_least(tokenizer, chosen):
    image, latents, z_q, lengths = chosen
    metric = aim_again(
        tokenizer, image, Aim(latents), DecoderInput(z_q, lengths, 0.5), "psnr"
    ).metric
    assert metric.shape == (4,)
    assert metric.dtype == np.float64
    assert 0.6 - 1e-6 <= metric.min() < metric.max() == 1.0


@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_aim_where_the_whole_image_does(channels):
    tokenizer = make_tokenizer(image_channels=channels, linear_path=True)
    image = make_image(8 * 19 + 3, 8 * 23 + 5, channels)
    latents = latents_in_tiles(tokenizer, image)
    tokens = tokenizer.quantizer.encode(latents, 0.4)
    z_q = tokenizer.quantizer.decode(tokens)
    tell = tokenizer, image, Aim(latents), DecoderInput(z_q, tokens.lengths, 0.4)
    whole, parts = aim_again(*tell, "psnr"), aim_again(*tell, "psnr", side=6)
    assert torch.allclose(whole.latents, parts.latents, atol=1e-3)
    assert np.allclose(whole.metric, parts.metric, atol=1e-4)
    # Similarity is that of larger surroundings: near, not equal.
    whole, parts = (aim_again(*tell, "ms_ssim", side=side).latents for side in (128, 12))
    assert (whole - parts).norm() < 0.3 * (whole - latents).norm()


def test_nothing_is_learned_where_the_image_does_not_answer(tokenizer, chosen):
    image, latents, _, lengths = chosen
    first = Aim(latents)
    assert (
        aim_again(tokenizer, image, first, DecoderInput(latents, lengths, 0.5), "ms_ssim") is first
    )


@pytest.mark.parametrize(("reached", "share"), [(40, 1.0), (80, 0.125), (20, 1.0), (-40, 0.0)])
def test_steps_that_go_too_far_together_are_cut(tokenizer, chosen, monkeypatch, reached, share):
    image, latents, z_q, lengths = chosen
    image = image.clamp(60, 190)
    alone = aim_again(tokenizer, image, Aim(latents), DecoderInput(z_q, lengths, 0.5), "psnr")
    painted = [image - 40, image - 40 + reached]  # what is wanted is 40 levels more

    def paint(*_):
        return painted.pop(0)

    monkeypatch.setattr("loopyvq.codec.aiming.paint_in_tiles", paint)
    cut = aim_again(tokenizer, image, Aim(latents), DecoderInput(z_q, lengths, 0.5), "psnr")
    assert not painted
    way, others = cut.latents - latents, alone.latents - latents
    if share == 0:
        assert way.abs().max() == 0
    else:
        painted = [image - 40, image]
        whole = (
            aim_again(
                tokenizer, image, Aim(latents), DecoderInput(z_q, lengths, 0.5), "psnr"
            ).latents
            - latents
        )
        assert torch.allclose(way, share * whole, rtol=1e-4, atol=1e-6)
        assert 0 < others.norm() < whole.norm()


@pytest.mark.parametrize("size", [(1, 1), (8, 300), (30, 12)])
def test_small_images(tokenizer, size):
    image = make_image(*size)
    latents = latents_in_tiles(tokenizer, image)
    tokens = tokenizer.quantizer.encode(latents, 1.0)
    z_q = tokenizer.quantizer.decode(tokens)
    aim = aim_again(
        tokenizer, image, Aim(latents), DecoderInput(z_q, tokens.lengths, 1.0), "ms_ssim"
    )
    assert aim.latents.shape == latents.shape
    assert aim.latents.isfinite().all()


def test_borders_weigh_nearly_as_much_as_the_inside(tokenizer):
    lengths, inside = torch.ones(16, 16, dtype=torch.long), np.zeros((16, 16), bool)
    inside[1:-1, 1:-1] = True
    found = []
    for seed in range(3):
        image = make_image(8 * 16, 8 * 16, seed=seed)
        latents = latents_in_tiles(tokenizer, image)
        aim = aim_again(
            tokenizer, image, Aim(latents), DecoderInput(0.5 * latents, lengths, 0.5), "ms_ssim"
        )
        weights = np.log(aim.importance)
        found.append(weights[~inside].mean() - weights[inside].mean())
    assert np.exp(np.mean(found)) > 0.6  # 0.28 if only windows within the image count


def test_entries_that_hardly_show_weigh_less_where_what_is_common_is_said_apart(
    tokenizer, chosen, monkeypatch
):
    image, latents, z_q, lengths = chosen
    shown = torch.tensor([1.0, 0.1, 1.2, 0.9])
    monkeypatch.setattr(aiming, "_answers", lambda *_: (torch.tensor(1.0), shown))
    painted = paint_in_tiles(tokenizer, DecoderInput(z_q, lengths, 0.5), tuple(image.shape[1:]))
    tell = tokenizer, image, Aim(latents), DecoderInput(z_q, lengths, 0.5)
    for tune, least in (("psnr", 0.3), ("balanced", 0.45), ("ms_ssim", 0.6)):
        whole, rest = (aim_again(*tell, tune, rest_of=other) for other in (None, painted))
        assert whole.metric.tolist() == pytest.approx([1.0, 0.6, 1.0, 0.9])
        assert rest.metric.tolist() == pytest.approx([1.0, least, 1.0, 0.9])
