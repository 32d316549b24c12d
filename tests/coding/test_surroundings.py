import numpy as np

from loopyvq.coding.features import num_features
from loopyvq.coding.order import Batch
from loopyvq.coding.surroundings import Surroundings

CODEBOOK = np.array([[1024, -2048], [512, 0]], np.int16)
GAINS = np.array([256, 128], np.int16)


def batch(row, column):
    return Batch(np.array([row]), np.array([column]), 2, 1)


def surroundings(neighbours=True):
    around = Surroundings(2, 3, CODEBOOK, GAINS, neighbours)
    around.start_turn()
    around.reveal(batch(0, 0), np.array([0]), 0)
    around.reveal(batch(0, 2), np.array([3]), 0)
    return around


def test_a_site_sees_its_neighbours_and_the_share():
    seen = surroundings().features(batch(0, 1), 100)[0].tolist()
    assert len(seen) == num_features(2)
    neighbours = [seen[start : start + 7] for start in range(0, 56, 7)]
    assert neighbours[3] == [64, -128, 71, 64, 64, 0, 32]  # code 0, one of two tokens so far
    assert neighbours[4] == [0, 0, 0, 64, 64, 64, 0]  # stopped without a token
    assert neighbours[6] == [0, 0, 0, 64, 0, 0, 0]  # inside, not yet known
    assert neighbours[0] == [0] * 7  # outside
    assert seen[56:59] == [0, 0, 0]
    assert seen[63:66] == [25, 106, 116]
    assert seen[66:] == [0, 0, 64, 0, 0, 0, 0, 0, 0, 0]


def test_a_site_sees_its_own_latest_codes():
    around = surroundings()
    around.start_turn()
    around.reveal(batch(0, 0), np.array([1]), 1)
    seen = around.features(batch(0, 0), 0)[0].tolist()
    assert seen[56:59] == [80, -128, 75]
    assert seen[59:63] == [32, 0, 64, -128]


def test_vectors_that_are_no_grid_see_nobody():
    seen = surroundings(neighbours=False).features(batch(0, 1), 100)[0]
    assert not seen[:56].any()
