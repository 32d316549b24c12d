import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loopyvq.codec.bound import bounded_tokens, round_down
from loopyvq.codec.escape import distances
from loopyvq.errors import CheckpointError, ConfigError
from loopyvq.quantize import LoopConfig, LoopQuantizer


@given(st.floats(0, 1e30))
def test_stored_thresholds_are_not_above_what_was_asked_for(number):
    rounded = round_down(number)
    assert rounded <= number
    assert float(np.float32(rounded)) == rounded
    assert rounded >= number * (1 - 1e-6) - 1e-44


@pytest.mark.parametrize("transform", ["residual", "pull"])
@pytest.mark.parametrize("threshold", [0.0, 0.01, 0.3, 2.0])
def test_what_a_reader_computes_is_within(transform, threshold):
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(9, 11, 4, generator=generator)
    config = LoopConfig(codebook_size=8, codebook_dim=4, max_depth=4, transform=transform)
    quantizer = LoopQuantizer.fit(latents.reshape(-1, 4), config)
    found = bounded_tokens(quantizer, latents, threshold)
    errors = distances(latents.reshape(-1, 4).numpy(), found.z_q.reshape(-1, 4))
    assert errors.max() <= threshold * float(quantizer.sigma)
    assert quantizer.stop == "threshold"
    if transform == "pull":
        with pytest.raises(ConfigError, match="stop"):
            bounded_tokens(quantizer, latents, threshold, stop="rate_distortion")


def test_a_weighing_stop_can_be_bound_as_well():
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(20, 20, 4, generator=generator)
    quantizer = LoopQuantizer.fit(
        latents.reshape(-1, 4), LoopConfig(codebook_size=8, codebook_dim=4, token_price=3.0)
    )
    free = bounded_tokens(quantizer, latents, 0.3, "rate_distortion", bound=False)
    bound = bounded_tokens(quantizer, latents, 0.3, "rate_distortion")
    sigma = float(quantizer.sigma)
    flat = latents.reshape(-1, 4).numpy()
    assert distances(flat, free.z_q.reshape(-1, 4)).max() > 0.3 * sigma
    assert distances(flat, bound.z_q.reshape(-1, 4)).max() <= 0.3 * sigma
    assert free.escape is None
    assert bound.escape is not None


def test_a_broken_model_is_named():
    quantizer = LoopQuantizer(LoopConfig(codebook_size=8, codebook_dim=4)).eval()
    with pytest.raises(CheckpointError, match="not finite"):
        bounded_tokens(quantizer, torch.full((2, 2, 4), torch.nan), 0.3)


@pytest.mark.parametrize("threshold", [0.0, 1e-6, 0.1, 0.7])
def test_without_a_promise_the_worst_site_is_stated(threshold):
    latents = torch.randn(9, 11, 4, generator=torch.Generator().manual_seed(0))
    config = LoopConfig(codebook_size=8, codebook_dim=4, max_depth=2)
    quantizer = LoopQuantizer.fit(latents.reshape(-1, 4), config)
    found = bounded_tokens(quantizer, latents, threshold, "rate_distortion", bound=False)
    errors = distances(latents.reshape(-1, 4).numpy(), found.z_q.reshape(-1, 4))
    worst = errors.max() / float(quantizer.sigma)
    if threshold < 1e-3:  # too far to say
        assert found.bound_steps is None
        return
    stated = found.threshold * 2 ** (found.bound_steps / 32)
    assert worst < stated < max(worst, threshold) * 1.03


def test_a_weighing_stop_gives_every_site_a_token_where_that_pays():
    latents = torch.randn(20, 20, 4, generator=torch.Generator().manual_seed(0)) * 0.1
    latents[:10] *= 30
    quantizer = LoopQuantizer.fit(latents.reshape(-1, 4), LoopConfig(codebook_dim=4))

    def shortest(threshold, min_length=None):
        rest = ("rate_distortion", False, min_length)
        return int(bounded_tokens(quantizer, latents, threshold, *rest).tokens.lengths.min())

    assert [shortest(0.7), shortest(0.8), shortest(0.7, 0), shortest(0.8, 2)] == [1, 0, 0, 2]
    assert quantizer.min_length == 0
    with pytest.raises(ConfigError, match="min_length must be within"):
        shortest(0.5, 9)
