import pytest
import torch

from loopyvq.metrics.frechet import frechet_distance, require_features


def features(count: int, width: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixture = torch.randn(width, width, generator=generator)
    return torch.randn(count, width, generator=generator) @ mixture + mixture[0]


def test_gaussians_along_axes_have_the_textbook_distance():
    # Equal eigenvectors: the roots of the variances differ, axis by axis.
    base = torch.randn(5000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    base = (base - base.mean(dim=0)) @ torch.linalg.inv(
        torch.linalg.cholesky(base.T.cov()).T.contiguous()
    )
    first, second = base * torch.tensor([1.0, 2.0, 3.0]), base * torch.tensor([2.0, 2.0, 0.0])
    found = frechet_distance(first + torch.tensor([0.0, 5.0, 0.0]), second)
    assert found == pytest.approx(25 + 1 + 0 + 9, rel=1e-9)


def test_the_same_set_is_at_no_distance_and_the_order_does_not_matter():
    rows = features(50, 8, 1)
    assert frechet_distance(rows, rows) == pytest.approx(0, abs=1e-9 * float(rows.var()))
    shuffled = rows[torch.randperm(50, generator=torch.Generator().manual_seed(2))]
    other = features(60, 8, 3)
    assert frechet_distance(shuffled, other) == pytest.approx(frechet_distance(rows, other))
    assert frechet_distance(rows, other) == pytest.approx(frechet_distance(other, rows))


def test_fewer_rows_than_columns_are_no_trouble():
    found = frechet_distance(features(4, 16, 4), features(5, 16, 5))
    assert 0 < found < float("inf")


def test_it_is_that_of_torchmetrics():
    compute = pytest.importorskip("torchmetrics.image.fid")._compute_fid
    first, second = features(300, 12, 6).double(), features(200, 12, 7).double()
    wanted = compute(first.mean(0), first.T.cov(), second.mean(0), second.T.cov())
    assert frechet_distance(first, second) == pytest.approx(float(wanted), rel=1e-6)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (torch.zeros(1, 2), torch.zeros(3, 2), "at least 2 images, got 1 and 3"),
        (torch.full((3, 2), torch.nan), torch.zeros(3, 2), "finite"),
    ],
)
def test_sets_that_cannot_be_compared(first, second, words):
    with pytest.raises(ValueError, match=words):
        frechet_distance(first, second)


def test_widths_must_agree():
    with pytest.raises(ValueError, match="one width"):
        require_features(torch.zeros(3, 2), torch.zeros(3, 4), least=1)
