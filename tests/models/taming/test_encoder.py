import torch

from loopyvq.models import Tokenizer
from loopyvq.models.taming.encoder import TamingEncoder


def test_one_latent_per_square_of_pixels(taming_config):
    encoder = TamingEncoder(taming_config)
    assert encoder(torch.zeros(2, 3, 16, 24)).shape == (2, 4, 4, 6)


def test_the_size_of_the_training_images_refuses_no_other(taming_config):
    tokenizer = Tokenizer(taming_config).eval()
    tokens = tokenizer.encode(torch.rand(1, 3, 13, 50) * 2 - 1)
    assert tokens.codes.shape == (1, 4, 13, 1)
    assert tokens.lengths.eq(1).all()
    assert tokenizer.decode(tokens, size=(13, 50)).shape == (1, 3, 13, 50)
