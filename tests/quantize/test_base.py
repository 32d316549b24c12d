import pytest
import torch

from loopyvq.quantize import Quantized, Quantizer
from loopyvq.tokens import Tokens


class Rounding(Quantizer):
    """The smallest quantizer there is: whole numbers, one turn."""

    codebook_size = 3
    max_depth = 1

    def __init__(self):
        super().__init__()
        self.register_buffer("counts", torch.tensor([257.0]))

    def forward(self, z_e, threshold=None, depth=None, mask=None):
        raise NotImplementedError

    def encode(self, z_e, threshold=None, depth=None, mask=None):
        raise NotImplementedError

    def decode(self, tokens):
        return tokens.codes.float()


def test_the_contract_must_be_filled():
    with pytest.raises(TypeError, match="abstract"):
        Quantizer()
    assert Rounding().codebook_size == 3


def test_a_result_unpacks_as_elsewhere_and_names_the_rest():
    scalar, lengths = torch.zeros(()), torch.tensor([1, 0])
    codes = torch.tensor([[2], [-1]])
    norm, converged = torch.zeros(2), torch.ones(2, dtype=torch.bool)
    z_q = torch.zeros(2, 5)
    result = Quantized(z_q, codes, scalar, lengths, norm, converged, scalar, scalar)
    first, second, third, *_ = result
    assert first is z_q
    assert second is codes
    assert third is scalar
    assert isinstance(result.tokens, Tokens)
    assert result.tokens.validate(3).lengths is lengths


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_state_is_never_below_float32(dtype):
    kept = Rounding().to(dtype).counts
    assert kept.dtype == (dtype if dtype == torch.float64 else torch.float32)
    assert kept.item() == 257


def test_state_moves_with_its_model():
    assert torch.nn.Sequential(Rounding()).to("meta", torch.bfloat16)[0].counts.is_meta
