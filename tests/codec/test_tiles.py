import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loopyvq.codec.decoder_input import DecoderInput
from loopyvq.codec.tiles import (
    decoder_reach,
    encoder_reach,
    latents_in_tiles,
    paint_in_tiles,
    tiles,
)
from tests.codec.conftest import make_image, make_tokenizer


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 9), st.integers(0, 5))
def test_tiles_cover_every_site_once(height, width, side, reach):
    covered = np.zeros((height, width), int)
    for tile in tiles(height, width, reach, side):
        covered[tile.top : tile.bottom, tile.left : tile.right] += 1
        assert 0 <= tile.outer_top <= tile.top < tile.bottom <= tile.outer_bottom <= height
        assert 0 <= tile.outer_left <= tile.left < tile.right <= tile.outer_right <= width
    assert (covered == 1).all()
    assert len(list(tiles(height, width, None, side))) == 1


@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_give_what_the_whole_image_gives(channels):
    tokenizer = make_tokenizer(image_channels=channels)
    image = make_image(8 * 19 + 3, 8 * 23 + 5, channels)
    whole = latents_in_tiles(tokenizer, image)
    parts = latents_in_tiles(tokenizer, image, side=6)
    assert torch.allclose(whole, parts, atol=2e-5)
    lengths = torch.randint(0, 5, whole.shape[:2], generator=torch.Generator().manual_seed(0))
    size = (image.shape[1], image.shape[2])
    given = DecoderInput(whole, lengths, 0.3)
    painted, in_parts = (
        paint_in_tiles(tokenizer, given, size, side=side).int() for side in (128, 6)
    )
    assert (painted - in_parts).abs().max() <= 1
    assert (painted != in_parts).float().mean() < 1e-3


def test_reach_is_as_far_as_latents_depend(tokenizer):
    reach = encoder_reach(tokenizer)
    image = torch.full((1, 3, 152, 152), 0.1, requires_grad=True)
    latents = tokenizer.latents(image)
    latents[0, 9, 9].sum().backward()
    rows = image.grad.abs().amax(dim=(0, 1, 3)).nonzero().squeeze(1)
    assert rows.min() >= 8 * (9 - reach)
    assert rows.max() < 8 * (10 + reach)
    assert rows.min() < 8 * (9 - reach + 1)


def test_networks_that_see_everything_get_everything():
    from loopyvq.models import Tokenizer, TokenizerConfig

    tokenizer = Tokenizer(TokenizerConfig(channels=(8, 64), attention=True))
    assert encoder_reach(tokenizer) is None
    assert decoder_reach(tokenizer) is None
