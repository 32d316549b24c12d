import pytest
import torch
from torch.nn import functional as F

from loopyvq.ops import packed_linear
from loopyvq.ops.packed_linear import pack_linear


@pytest.mark.parametrize("rows", [1, 2, 16, 65])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12), (torch.bfloat16, 0.05)]
)
def test_it_is_the_linear_map(rows, biased, dtype, tolerance):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(24, 16, generator=generator).to(dtype).requires_grad_()
    bias = torch.randn(24, generator=generator).to(dtype) if biased else None
    features = torch.randn(rows, 16, generator=generator).to(dtype)
    with torch.inference_mode():
        found = pack_linear(weight, bias)(features)
    assert found.dtype == dtype
    assert torch.allclose(found, F.linear(features, weight, bias), atol=tolerance, rtol=tolerance)


def test_without_the_operators_the_usual_map_is_taken(monkeypatch):
    monkeypatch.setattr(packed_linear, "_can_pack", lambda weight: False)
    weight, features = torch.randn(3, 4), torch.randn(2, 4)
    assert torch.equal(pack_linear(weight, None)(features), F.linear(features, weight))
