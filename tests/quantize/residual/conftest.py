import pytest
import torch

from loopyvq.quantize.residual import Limits, dense_walk, direct_walk
from loopyvq.quantize.residual.backends import compiled_path, has_numba
from loopyvq.quantize.residual.table import GramTable


def walk_with(path, latents, codes, gains, sigma, limits):
    """Run the loop in one of the ways there are."""
    if path == "direct":
        return direct_walk(latents, gains[:, None, None] * codes, sigma, limits)
    if path == "dense":
        return dense_walk(latents, gains[:, None, None] * codes, sigma, limits)
    multiple = compiled_path().MULTIPLE
    table = GramTable.build(codes, gains, with_gram=path == "compiled", multiple=multiple)
    return compiled_path().compiled_walk(latents, sigma, table, limits)


PATHS = ["direct", "dense", "compiled", "compiled, a product per turn"]


@pytest.fixture(params=PATHS)
def path(request):
    """Every way to run the loop."""
    if "compiled" in request.param and not has_numba():
        pytest.skip("needs numba: pip install 'loopyvq[fast]'")
    return request.param


@pytest.fixture
def run(path):
    """Run the loop in one way, with limits alike for all vectors."""

    def run(latents, codes, gains, threshold=0.0, depth=None, sigma=1.0, **options):
        rows = len(latents)
        most = torch.full((rows,), len(gains)) if depth is None else torch.tensor(depth)
        limits = Limits(torch.full((rows,), threshold, dtype=torch.float64), most, **options)
        return walk_with(path, latents, codes, gains, torch.tensor(sigma), limits)

    return run
