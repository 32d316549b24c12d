import copy

import torch

from loopyvq.models import Tokenizer
from loopyvq.training.recompute import recompute_blocks


def test_a_copy_has_weights_of_its_own(tiny_config):
    tokenizer = Tokenizer(tiny_config)
    names = list(tokenizer.state_dict())
    assert recompute_blocks(tokenizer) == 4
    assert list(tokenizer.state_dict()) == names
    other = copy.deepcopy(tokenizer)
    image = torch.zeros(1, 3, 16, 16)
    before = tokenizer.latents(image)
    with torch.no_grad():
        for parameter in other.encoder.parameters():
            parameter.fill_(0.5)
    assert torch.equal(tokenizer.latents(image), before)
    assert not torch.equal(other.latents(image), before)
