import pytest
import torch

from loopyvq.metrics.precision_recall import nearest_rows, precision_recall


def cloud(count: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))


def test_it_is_that_of_the_plain_definition():
    generated, real = cloud(40, 0, 0.7), cloud(30, 1)

    def inside(row, centres):
        for number, centre in enumerate(centres):
            others = [float((centre - c).norm()) for i, c in enumerate(centres) if i != number]
            if float((row - centre).norm()) <= sorted(others)[2]:
                return True
        return False

    found = precision_recall(generated, real)
    assert found.precision == sum(inside(row, real) for row in generated) / 40
    assert found.recall == sum(inside(row, generated) for row in real) / 30
    assert 0 < found.recall < found.precision


def test_copies_are_precise_and_noise_is_not():
    real = cloud(50, 2)
    assert precision_recall(real, real) == (1.0, 1.0)
    assert precision_recall(real + 100, real) == (0.0, 0.0)
    one = real[:1].expand(20, -1)
    assert precision_recall(one, real).precision == 1.0
    assert precision_recall(one, real).recall == 1 / 50


def test_nearest_rows_leave_out_the_row_itself():
    rows = torch.tensor([[0.0], [1.0], [5.0]])
    near = nearest_rows(rows, rows, 1, skip=1)
    assert near.index.flatten().tolist() == [1, 0, 1]
    assert near.distance.flatten().tolist() == [1.0, 1.0, 4.0]
    assert nearest_rows(rows, rows, 2).index[2].tolist() == [2, 1]


def test_what_cannot_be():
    with pytest.raises(ValueError, match="neighbours must be at least 1"):
        precision_recall(cloud(9, 0), cloud(9, 1), neighbours=0)
    with pytest.raises(ValueError, match="at least 4 images"):
        precision_recall(cloud(9, 0), cloud(3, 1))
    with pytest.raises(ValueError, match="count must be"):
        nearest_rows(cloud(3, 0), cloud(3, 1), 0)
    with pytest.raises(ValueError, match="need as many images"):
        nearest_rows(cloud(3, 0), cloud(3, 1), 3, skip=1)


def test_nearest_rows_are_those_of_all_distances():
    rows, others = cloud(70, 5) + 1000, cloud(300, 6) + 1000
    near = nearest_rows(rows, others, 4)
    exact = torch.cdist(rows.double(), others.double(), compute_mode="donot_use_mm_for_euclid_dist")
    wanted = exact.topk(4, largest=False)
    assert torch.equal(near.index, wanted.indices)
    assert torch.allclose(near.distance, wanted.values, rtol=1e-12)
