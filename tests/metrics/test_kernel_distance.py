import pytest
import torch

from loopyvq.metrics.kernel_distance import kernel_distance, squared_discrepancy


def rows(count: int, shift: float, seed: int) -> torch.Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(seed)) + shift


def test_the_estimate_is_that_of_all_pairs():
    first, second = rows(7, 0.0, 0).double(), rows(5, 0.5, 1).double()

    def kernel(x, y):
        return float((x @ y / 6 + 1) ** 3)

    def within(some):
        pairs = [(i, j) for i in range(len(some)) for j in range(len(some)) if i != j]
        return sum(kernel(some[i], some[j]) for i, j in pairs) / len(pairs)

    across = sum(kernel(x, y) for x in first for y in second) / 35
    wanted = within(first) + within(second) - 2 * across
    assert squared_discrepancy(first, second) == pytest.approx(wanted, rel=1e-12)


def test_it_has_no_bias_where_nothing_differs():
    found = [squared_discrepancy(rows(20, 0, i), rows(20, 0, 1000 + i)) for i in range(300)]
    values = torch.tensor(found)
    assert abs(float(values.mean())) < 3 * float(values.std()) / 300**0.5
    assert float(values.min()) < 0


def test_it_is_that_of_torchmetrics():
    module = pytest.importorskip("torchmetrics.image.kid")
    first, second = rows(40, 0, 2).double(), rows(40, 1, 3).double()
    wanted = module.poly_mmd(first, second)
    assert squared_discrepancy(first, second) == pytest.approx(float(wanted), rel=1e-9)


def test_subsets_are_drawn_from_the_generator():
    first, second = rows(50, 0, 4), rows(60, 0.3, 5)

    def measure(seed, **options):
        generator = torch.Generator().manual_seed(seed)
        return kernel_distance(first, second, generator, **options)

    assert measure(0, subsets=5, subset_size=20) == measure(0, subsets=5, subset_size=20)
    assert measure(0, subsets=5, subset_size=20) != measure(1, subsets=5, subset_size=20)
    assert measure(0, subsets=1).std == 0
    assert measure(0, subsets=9, subset_size=10).std > 0


@pytest.mark.parametrize("options", [{"subsets": 0}, {"subset_size": 1}])
def test_numbers_out_of_range(options):
    with pytest.raises(ValueError, match="at least 1 subset"):
        kernel_distance(rows(5, 0, 0), rows(5, 0, 1), torch.Generator(), **options)
