import pytest
import torch

from loopyvq.models.prior.symbol_map import SymbolMap


def test_every_site_sees_the_map_around_it_and_no_further():
    network = SymbolMap(4, 8)
    symbols = torch.zeros(1, 9, 9, dtype=torch.int64)
    changed = symbols.clone()
    changed[0, 4, 4] = 1
    difference = (network(symbols, (9, 9)) - network(changed, (9, 9))).abs().sum(dim=2)
    moved = difference.reshape(9, 9) > 1e-7
    assert bool(moved[2:7, 2:7].all())
    assert int(moved.sum()) == 25


def test_finer_maps_are_averaged_and_coarser_ones_repeated():
    network = SymbolMap(4, 8)
    symbols = torch.randint(0, 4, (2, 2, 3))
    fine = symbols.repeat_interleave(2, dim=1).repeat_interleave(3, dim=2)
    assert torch.allclose(network(fine, (2, 3)), network(symbols, (2, 3)), atol=1e-6)
    assert torch.allclose(network(symbols, (4, 9)), network(fine, (4, 9)), atol=1e-6)


@pytest.mark.parametrize("size", [(3, 4), (5, 8), (4, 2)])
def test_a_map_that_does_not_fit_is_refused(size):
    with pytest.raises(ValueError, match="whole number of times"):
        SymbolMap(4, 8)(torch.zeros(1, *size, dtype=torch.int64), (4, 8 if size[1] != 2 else 3))


def test_a_symbol_out_of_range_is_refused():
    with pytest.raises(
        ValueError, match=r"symbol of the condition must be within 0\.\.4, got 0\.\.5"
    ):
        SymbolMap(4, 8)(torch.tensor([[[0, 5]]]), (1, 2))
