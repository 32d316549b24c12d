import numpy as np
import pytest

from loopyvq.coding.tables import Tables, table_row


def test_tables_come_back_from_their_arrays(tables):
    arrays = tables.to_arrays()
    back = Tables.from_arrays({name: array.copy() for name, array in arrays.items()})
    for name, array in back.to_arrays().items():
        assert array.dtype == arrays[name].dtype
        assert np.array_equal(array, arrays[name])
    assert (back.codebook_size, back.max_depth) == (9, 4)
    assert back.num_bytes == sum(array.nbytes for array in arrays.values())


@pytest.mark.parametrize(
    "name", ["codebook", "gains", "weights", "turn2.first.weights", "turn3.last.bias"]
)
def test_wrong_arrays_are_refused(tables, name):
    arrays = tables.to_arrays()
    with pytest.raises(ValueError, match="coding tables"):
        Tables.from_arrays({key: array for key, array in arrays.items() if key != name})
    with pytest.raises(ValueError, match="coding tables"):
        Tables.from_arrays({**arrays, name: arrays[name].astype(np.float32)})
    with pytest.raises(ValueError, match="coding tables"):
        Tables.from_arrays({**arrays, name: arrays[name][:-1]})


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("turn0.shifts", np.array([1, 2, 25], np.int8), "shift"),
        ("turn0.shifts", np.array([1, 2], np.int8), "incomplete"),
        ("turn0.last.bias", np.full(11, (1 << 29) + 1, np.int32), "bias"),
        ("weights", np.zeros((4, 4, 10), np.uint16), "at least 1"),
    ],
)
def test_impossible_numbers_are_refused(tables, name, values, message):
    with pytest.raises(ValueError, match=message):
        Tables.from_arrays({**tables.to_arrays(), name: values})


def test_a_share_picks_a_row():
    assert [table_row(share) for share in (0, 31, 32, 95, 96, 175, 176, 255)] == [
        0, 0, 1, 1, 2, 2, 3, 3,
    ]  # fmt: skip
