import pytest

from loopyvq.models.prior.places import Places


def test_rows_and_columns_are_told_apart():
    assert len(Places(3, 4, 8)((3, 4)).unique(dim=0)) == 12


def test_a_smaller_grid_takes_the_first_rows_and_columns():
    places = Places(3, 4, 8)
    whole = places((3, 4)).reshape(3, 4, 8)
    assert places((2, 3)).reshape(2, 3, 8).equal(whole[:2, :3])


@pytest.mark.parametrize("grid", [(4, 4), (3, 5)])
def test_too_large_a_grid_is_refused(grid):
    with pytest.raises(ValueError, match="up to 3 x 4 sites"):
        Places(3, 4, 8)(grid)
