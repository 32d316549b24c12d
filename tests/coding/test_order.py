import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.coding.order import NUM_PHASES, batches_of


@given(
    st.integers(0, 40), st.integers(0, 40), st.integers(0, 2), st.floats(0, 1), st.integers(0, 999)
)
@settings(max_examples=100, deadline=None)
def test_every_active_site_comes_once(height, width, turn, share, seed):
    active = np.random.default_rng(seed).random((height, width)) < share
    visits = np.zeros((height, width), np.int64)
    last_phase = 0
    for batch in batches_of(active, turn):
        assert len(batch.rows) <= 128
        assert last_phase <= batch.phase < (NUM_PHASES if turn == 0 else 4)
        np.add.at(visits, (batch.rows, batch.columns), 1)
        last_phase = batch.phase
    assert np.array_equal(visits, active)


def test_sites_of_a_later_batch_lie_between_known_ones():
    known = np.zeros((33, 33), np.bool_)
    for batch in batches_of(np.ones((33, 33), np.bool_), 0):
        if batch.phase:
            far = batch.distance
            steps = ((far, far), (-far, -far)) if batch.phase % 3 == 1 else ((0, far), (far, 0))
            for down, right in steps:
                rows = np.clip(batch.rows + down, 0, 32)
                columns = np.clip(batch.columns + right, 0, 32)
                inside = (rows == batch.rows + down) & (columns == batch.columns + right)
                assert known[rows, columns][inside].all()
        known[batch.rows, batch.columns] = True
    assert known.all()


def test_the_drawing_in_the_module():
    phases = np.zeros((4, 5), np.int64)
    for batch in batches_of(np.ones((4, 5), np.bool_), 1):
        phases[batch.rows, batch.columns] = batch.phase
    assert phases.tolist() == [[0, 2, 0, 2, 0], [3, 1, 3, 1, 3], [0, 2, 0, 2, 0], [3, 1, 3, 1, 3]]
