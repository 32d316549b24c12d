import hashlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loopyvq.models.prior.orders import ORDERS, site_order

# What the permuters of taming (commit 3ba01b2) hold for 4 x 4 sites, and a hash for 16 x 16.
GOLDEN = {
    "raster": ([*range(16)], "86059e067fc6d1b8"),
    "z_curve": ([0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15], "68cd68f3f6a498d1"),
    "spiral_out": ([9, 5, 6, 10, 14, 13, 12, 8, 4, 0, 1, 2, 3, 7, 11, 15], "cdbbf3f38cb682f9"),
    "spiral_in": ([15, 11, 7, 3, 2, 1, 0, 4, 8, 12, 13, 14, 10, 6, 5, 9], "51f21d5a17c1a864"),
    "subsample": ([0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15], "7503596f1f6d462e"),
    "random": ([3, 13, 7, 2, 6, 10, 4, 1, 14, 0, 15, 9, 8, 12, 11, 5], "024a600b74ad8c04"),
    "alternate": ([0, 1, 2, 3, 7, 6, 5, 4, 8, 9, 10, 11, 15, 14, 13, 12], "4e9861ab9d635221"),
}


@pytest.mark.parametrize("name", ORDERS)
def test_the_orders_are_tamings(name):
    small, large = GOLDEN[name]
    assert site_order(name, 4, 4).tolist() == small
    text = " ".join(map(str, site_order(name, 16, 16).tolist()))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == large


@given(st.sampled_from(list(ORDERS)), st.integers(1, 11), st.integers(1, 11))
def test_every_grid_has_every_order(name, height, width):
    order = site_order(name, height, width)
    assert order.dtype == torch.int64
    assert order.sort().values.tolist() == list(range(height * width))


@pytest.mark.parametrize("sides", [(5, 5), (3, 6), (6, 3), (1, 7)])
def test_a_spiral_starts_at_the_centre(sides):
    height, width = sides
    row, column = divmod(int(site_order("spiral_out", height, width)[0]), width)
    assert abs(row - (height - 1) / 2) <= 0.5
    assert abs(column - (width - 1) / 2) <= 0.5


def test_what_cannot_be_says_why():
    with pytest.raises(ValueError, match="an order is one of raster, z_curve"):
        site_order("hilbert", 4, 4)
    with pytest.raises(ValueError, match="at least 1 x 1 sites, got 0 x 4"):
        site_order("raster", 0, 4)
