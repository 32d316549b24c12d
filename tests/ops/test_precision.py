import pytest
import torch

from loopyvq.ops.nearest import nearest_code
from loopyvq.ops.precision import full_float32, no_autocast
from loopyvq.quantize import LoopConfig, LoopQuantizer


@pytest.fixture(params=["highest", "high", "medium"])
def allowed(request):
    """What the program allows products of matrices; put back afterwards."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(request.param)
    yield request.param
    torch.set_float32_matmul_precision(before)


def test_within_it_is_float32_and_afterwards_what_it_was(allowed):
    with full_float32():
        assert torch.get_float32_matmul_precision() == "highest"
    assert torch.get_float32_matmul_precision() == allowed


def test_an_error_within_leaves_it_as_it_was(allowed):
    with pytest.raises(ZeroDivisionError), full_float32():
        raise ZeroDivisionError
    assert torch.get_float32_matmul_precision() == allowed


@pytest.mark.parametrize("beam_size", [1, 3])
def test_codes_do_not_depend_on_what_is_allowed(allowed, beam_size):
    generator = torch.Generator().manual_seed(0)
    data = torch.randn(500, 12, generator=generator) + 100
    config = LoopConfig(codebook_size=40, codebook_dim=12, max_depth=4, beam_size=beam_size)
    with full_float32():
        quantizer = LoopQuantizer.fit(data, config)
        expected = quantizer.encode(data, threshold=0.0)
        nearest = nearest_code(data, quantizer.codebook.weight)
    assert torch.equal(quantizer.encode(data, threshold=0.0).codes, expected.codes)
    assert torch.equal(nearest_code(data, quantizer.codebook.weight), nearest)
    assert torch.get_float32_matmul_precision() == allowed


def test_without_autocast_products_keep_their_type():
    one = torch.ones(2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (one @ one).dtype == torch.bfloat16
        with no_autocast(one.device):
            assert (one @ one).dtype == torch.float32
        assert (one @ one).dtype == torch.bfloat16
