import numpy as np
import pytest
import torch
from torch.nn import functional as F

pytest.importorskip("numba", reason="compiled steps need numba: pip install 'loopyvq[fast]'")
from loopyvq.models.prior.step_kernels import attend, normalize


@pytest.mark.parametrize("centred", [True, False])
def test_rows_are_normalized(centred):
    rows, weight, bias = torch.randn(3, 8) * 5, torch.randn(8), torch.randn(8)
    found = np.empty((3, 8), np.float32)
    normalize(rows.numpy(), weight.numpy(), bias.numpy(), 1e-5, centred, found)
    expected = (
        F.layer_norm(rows, (8,), weight, bias, 1e-5)
        if centred
        else F.rms_norm(rows, (8,), weight, 1e-5) + bias
    )
    assert torch.allclose(torch.from_numpy(found), expected, atol=1e-5)


def test_attention_is_the_weighted_mean_of_the_values():
    query, keys, values = torch.randn(1, 4), 30 * torch.randn(7, 4), torch.randn(7, 4)
    found, scores = np.empty(4, np.float32), np.empty(7, np.float32)
    attend(query[0].numpy(), keys.numpy(), values.numpy(), scores, found)
    expected = F.scaled_dot_product_attention(query, keys, values)[0]
    assert torch.allclose(torch.from_numpy(found), expected, atol=1e-5)
