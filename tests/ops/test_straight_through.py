import torch

from loopyvq.ops.straight_through import stop_gradient_at_zeros, straight_through


def test_the_value_is_exact_where_the_usual_form_rounds():
    generator = torch.Generator().manual_seed(0)
    z_e = 1e4 * torch.randn(100, 3, generator=generator)
    z_q = 1e-3 * torch.randn(100, 3, generator=generator)
    assert torch.equal(straight_through(z_e, z_q), z_q)
    assert not torch.equal(z_e + (z_q - z_e), z_q)


def test_the_gradient_is_the_identity_and_none_flows_into_the_codes():
    z_e = torch.randn(4, 3, requires_grad=True)
    z_q = torch.randn(4, 3, requires_grad=True)
    upstream = torch.arange(12.0).reshape(4, 3)
    straight_through(z_e, z_q).backward(upstream)
    assert torch.equal(z_e.grad, upstream)
    assert z_q.grad is None


def test_no_gradient_flows_through_zeros_and_values_stay():
    z_e = torch.randn(4, 3, requires_grad=True)
    z_q = torch.tensor([[1.0, 0.0, -2.0]]).expand(4, 3)
    found = stop_gradient_at_zeros(straight_through(z_e, z_q))
    assert torch.equal(found, z_q)
    found.sum().backward()
    assert torch.equal(z_e.grad, (z_q != 0).float())
