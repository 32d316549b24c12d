import torch

from loopyvq.codec.painting import paint
from tests.codec.conftest import make_image


def test_pixels_have_the_size_and_channels_of_the_header(codec, tokenizer):
    sites = codec.decode_sites(codec.compress(make_image(20, 27), 0.3))
    colour, grey = (
        paint(tokenizer, sites.for_decoder(), (channels, 20, 27)) for channels in (3, 1)
    )
    assert (colour.shape, grey.shape) == ((3, 20, 27), (1, 20, 27))
    assert (grey.float() - colour.float().mean(dim=0)).abs().max() < 100
    assert colour.dtype == grey.dtype == torch.uint8
