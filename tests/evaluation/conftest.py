import pytest
import torch

from loopyvq.models import Tokenizer


@pytest.fixture
def tokenizer(tiny_config):
    torch.manual_seed(0)
    model = Tokenizer(tiny_config)
    model(torch.rand(2, 3, 64, 64) * 2 - 1)
    return model.eval()
