import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loopyvq.ops.cubic import cubic_band, interpolated


def by_the_formula(points, places):
    """Keys' kernel with a = -1/2, place by place."""
    rows = []
    for place in range(places):
        position = (place + 0.5) * points / places - 0.5
        row = [0.0] * points
        for point in range(int(position // 1) - 1, int(position // 1) + 3):
            away = abs(position - point)
            weight = 0.0
            if away <= 1:
                weight = 1.5 * away**3 - 2.5 * away**2 + 1
            elif away < 2:
                weight = -0.5 * away**3 + 2.5 * away**2 - 4 * away + 2
            row[min(max(point, 0), points - 1)] += weight
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


@given(st.integers(1, 40), st.integers(1, 90), st.data())
def test_weights_are_those_of_the_formula_and_sum_to_one(points, places, data):
    start = data.draw(st.integers(0, places - 1))
    stop = data.draw(st.integers(start + 1, places))
    first, weights = cubic_band(points, places, start, stop)
    expected = by_the_formula(points, places)[start:stop]
    assert torch.allclose(weights, expected[:, first : first + weights.shape[1]], atol=1e-12)
    assert torch.allclose(weights.sum(dim=1), torch.ones(stop - start, dtype=torch.float64))


def test_curves_go_through_their_points_and_straight_lines_stay_straight():
    grid = torch.rand(2, 4, 7, dtype=torch.float64)
    assert torch.equal(interpolated(grid, 4, 7), grid)
    line = torch.arange(8, dtype=torch.float64).expand(1, 8, 8)
    fine = interpolated(line, 8, 32)[0, 0, 8:-8]
    assert fine.diff().tolist() == pytest.approx([0.25] * (len(fine) - 1))


def test_long_sides_take_little_memory_and_have_no_seams():
    # Weights of all points at all places would be 40 GB.
    points = torch.rand(1, 1, 2500, dtype=torch.float64)
    found = interpolated(points, 1, 20_000)
    middles = torch.arange(2500) * 8 + 4
    around = (found[0, 0, middles - 1] + found[0, 0, middles]) / 2
    assert (around - points[0, 0]).abs().max() < 0.1
    assert interpolated(torch.rand(1, 1, 100_000, dtype=torch.float64), 1, 50_000).isfinite().all()
    whole = by_the_formula(50, 4100)
    assert torch.allclose(interpolated(points[..., :50], 1, 4100)[0, 0], whole @ points[0, 0, :50])
