import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.quantize import LoopConfig, LoopQuantizer
from loopyvq.quantize.residual import Walk
from loopyvq.quantize.stop import rate_distortion_lengths, threshold_lengths, truncate
from loopyvq.tokens import PAD


def walks(seed: int, rows: int = 40, turns: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    shrink = 0.3 + 0.7 * torch.rand(rows, turns, generator=generator)
    start = torch.rand(rows, 1, generator=generator) * 2
    return torch.cat([start, start * shrink.cumprod(dim=1)], dim=1).double()


@given(
    seed=st.integers(0, 999),
    threshold=st.floats(0, 2),
    price=st.floats(0, 2),
    least=st.integers(0, 5),
)
@settings(max_examples=100, deadline=None)
def test_both_rules_equal_their_definition(seed, threshold, price, least):
    norms = walks(seed)
    limit = torch.tensor([[threshold]]).double()
    certified = threshold_lengths(norms, limit, least)[:, 0].tolist()
    weighed = rate_distortion_lengths(norms, limit, least, price)[:, 0].tolist()
    for row, first, second in zip(norms.tolist(), certified, weighed, strict=True):
        within = [turn for turn, error in enumerate(row) if error <= threshold or turn == 5]
        assert first == max(least, within[0])
        costs = {t: row[t] ** 2 + price * threshold**2 * t for t in range(least, 6)}
        assert costs[second] <= min(costs.values()) + 1e-12


def test_a_higher_threshold_never_lengthens():
    norms = walks(0)
    thresholds = torch.linspace(0, 2, 30).double().unsqueeze(0)
    for lengths in (
        threshold_lengths(norms, thresholds, 0),
        rate_distortion_lengths(norms, thresholds, 0, 0.5),
    ):
        assert (lengths.diff(dim=1) <= 0).all()
        assert lengths[:, 0].max() == 5


def test_truncated_walks_are_shorter_walks():
    norms = torch.tensor([[1.0, 0.5, 0.25], [1.0, 0.9, 0.9]])
    walk = Walk(
        torch.tensor([[3, 4], [5, PAD]]), torch.tensor([2, 1]), norms, torch.tensor([True, False])
    )
    short = truncate(walk, torch.tensor([1, 2]), torch.tensor([0.6, 0.6]))
    assert short.codes.tolist() == [[3, PAD], [5, PAD]]
    assert short.lengths.tolist() == [1, 1]
    assert short.norms.tolist() == [[1.0, 0.5, 0.5], [1.0, pytest.approx(0.9), pytest.approx(0.9)]]
    assert short.reached.tolist() == [True, False]


@pytest.fixture(scope="module")
def quantizers() -> dict[str, LoopQuantizer]:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(3000, 4, generator=generator)
    vectors *= torch.randn(3000, 1, generator=generator).mul(0.7).exp()
    options = {"codebook_size": 32, "codebook_dim": 4}
    return {
        stop: LoopQuantizer.fit(vectors, LoopConfig(stop=stop, **options))
        for stop in ("threshold", "rate_distortion")
    }


VECTORS = torch.randn(2000, 4, generator=torch.Generator().manual_seed(1))
VECTORS *= torch.randn(2000, 1, generator=torch.Generator().manual_seed(2)).mul(0.7).exp()


def test_weighing_beats_certifying_at_the_same_number_of_tokens(quantizers):
    """That is what it is for: less error for the same tokens; but not every site within."""
    weighs, certifies = quantizers["rate_distortion"], quantizers["threshold"]
    result = weighs(VECTORS, 0.2)
    wanted = result.lengths.double().mean()
    assert not result.converged.all()
    for threshold in torch.linspace(0.5, 0.05, 46):
        other = certifies(VECTORS, float(threshold))
        if other.lengths.double().mean() >= wanted:
            break
    assert result.residual_norm.square().mean() < other.residual_norm.square().mean()


def test_weighed_tokens_decode_like_any_other(quantizers):
    quantizer = quantizers["rate_distortion"]
    result = quantizer(VECTORS, 0.3)
    assert torch.equal(quantizer.decode(result.tokens), result.z_q)
    assert torch.equal(quantizer.encode(VECTORS, 0.3).codes, result.codes)
    assert (result.converged == (result.residual_norm <= 0.3)).all()
    assert int(quantizer(VECTORS, 0.3, depth=2).lengths.max()) == 2


def test_the_length_curve_knows_the_rule(quantizers):
    for quantizer in quantizers.values():
        threshold = quantizer.length_curve.threshold_for(torch.tensor(2.5))
        mean = quantizer.encode(VECTORS, threshold).lengths.double().mean()
        assert float(mean) == pytest.approx(2.5, abs=0.35)
