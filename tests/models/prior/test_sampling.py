import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loopyvq.errors import ConfigError
from loopyvq.models.prior.sampling import (
    SamplingConfig,
    draw,
    filter_logits,
    guide,
    stop_probability,
)

LOGITS = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()


def uniform_of(count: int) -> torch.Tensor:
    return (torch.arange(count, dtype=torch.float64) + 0.5) / count


def shares(sampling: SamplingConfig, logits: torch.Tensor = LOGITS) -> list[float]:
    """Draw at a grid of numbers: the share of each symbol is its probability."""
    drawn = draw(logits.expand(10_000, -1), sampling, uniform_of(10_000))
    return (torch.bincount(drawn, minlength=logits.shape[-1]) / 10_000).tolist()


def test_symbols_are_as_frequent_as_they_are_likely():
    assert shares(SamplingConfig()) == pytest.approx([0.4, 0.3, 0.2, 0.1], abs=1e-4)
    squares = torch.tensor([0.16, 0.09, 0.04, 0.01]) / 0.3
    assert shares(SamplingConfig(temperature=0.5)) == pytest.approx(squares.tolist(), abs=1e-4)
    assert shares(SamplingConfig(temperature=0.0)) == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"top_k": 2}, [4 / 7, 3 / 7, 0, 0]),
        ({"top_k": 9}, [0.4, 0.3, 0.2, 0.1]),
        ({"top_p": 0.65}, [4 / 7, 3 / 7, 0, 0]),
        ({"top_p": 0.75}, [4 / 9, 3 / 9, 2 / 9, 0]),
        ({"top_p": 0.01}, [1, 0, 0, 0]),
        ({"min_p": 0.6}, [4 / 7, 3 / 7, 0, 0]),
        ({"min_p": 1.0}, [1, 0, 0, 0]),
        ({"top_k": 3, "top_p": 0.5}, [4 / 7, 3 / 7, 0, 0]),
    ],
)
def test_unlikely_symbols_are_left_out(options, kept):
    assert shares(SamplingConfig(**options)) == pytest.approx(kept, abs=1e-4)


def test_equally_likely_symbols_stay_together():
    logits = torch.tensor([1.0, 2.0, 2.0, 0.0])
    assert filter_logits(logits, SamplingConfig(top_k=1)).isfinite().tolist() == [0, 1, 1, 0]


@given(st.integers(0, 2**31), st.floats(0, 1, exclude_max=True), st.floats(0.05, 1))
def test_what_is_not_allowed_is_never_drawn(seed, number, top_p):
    generator = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(6, 9, generator=generator)
    allowed = torch.rand(6, 9, generator=generator) < 0.4
    allowed[:, 4] = True
    logits = logits.masked_fill(~allowed, -torch.inf)
    uniform = torch.full((6,), number, dtype=torch.float64)
    uniform[0], uniform[1] = 0, torch.nextafter(torch.tensor(1.0).double(), torch.tensor(0.0))
    drawn = draw(logits, SamplingConfig(top_p=top_p, temperature=2.0), uniform)
    assert allowed.gather(1, drawn.unsqueeze(1)).all()


def test_a_row_does_not_depend_on_its_neighbours():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 7, generator=generator)
    uniform = torch.rand(5, generator=generator, dtype=torch.float64)
    sampling = SamplingConfig(top_k=4, top_p=0.9, min_p=0.01, temperature=0.8)
    together = draw(logits, sampling, uniform)
    alone = [int(draw(logits[row], sampling, uniform[row])) for row in range(5)]
    assert together.tolist() == alone


def test_guidance_goes_on_from_without_to_with_the_condition():
    with_it, without = torch.tensor([3.0, 1.0]), torch.tensor([1.0, 1.0])
    assert guide(with_it, without, 0.0).tolist() == [1, 1]
    assert guide(with_it, without, 1.0).tolist() == [3, 1]
    assert guide(with_it, without, 2.0).tolist() == [5, 1]


def test_stopping_has_its_own_temperature():
    sampling = SamplingConfig(temperature=0.7, turn_temperatures=(1.0, 0.5), top_k=3, guidance=2.0)
    assert sampling.of_stopping() == SamplingConfig(temperature=0.7, guidance=2.0)
    assert replace(sampling, stop_temperature=0.0).of_stopping().temperature == 0
    assert [sampling.turn_temperature(turn) for turn in range(4)] == [1, 0.5, 0.5, 0.5]
    assert SamplingConfig().turn_temperature(3) == 1


def test_the_ends_of_the_ranges_can_be_drawn():
    logits = 30 * torch.randn(4, 9)
    logits[:, 3] = -torch.inf
    for temperature in (1e-6, 1e6):
        sampling = SamplingConfig(temperature=temperature, turn_temperatures=(temperature,))
        guided = guide(logits.nan_to_num(neginf=-30.0), 30 * torch.randn(4, 9), 1e6)
        for shown in (logits, guided):
            uniform = torch.rand(4, dtype=torch.float64)
            factor = sampling.turn_temperature(0)
            drawn = draw(shown / factor, sampling, uniform)
            assert bool(((drawn >= 0) & (drawn < 9)).all())
            if temperature < 1:
                assert torch.equal(drawn, shown.argmax(dim=1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "temperature must be 0, which"),
        ({"temperature": float("nan")}, "temperature must be 0, which"),
        ({"temperature": 1e-40}, "within 1e-06..1e[+]06, got 1e-40"),
        ({"stop_temperature": float("inf")}, "temperature must be 0, which"),
        ({"turn_temperatures": (1.0, 0.0)}, "factors within"),
        ({"turn_temperatures": (float("inf"),)}, "factors within"),
        ({"top_k": -1}, "top_k must be"),
        ({"top_p": 0.0}, "top_p must be"),
        ({"min_p": 1.5}, "min_p must be"),
        ({"guidance": -1.0}, "guidance must be"),
        ({"guidance": float("inf")}, "guidance must be"),
        ({"length_budget": 0}, "length_budget must be"),
    ],
)
def test_ranges_are_checked(options, message):
    with pytest.raises(ConfigError, match=message):
        SamplingConfig(**options)


def test_unlikely_ends_are_left_out():
    odds = torch.tensor([0.97, 0.6, 0.03]).logit()
    kept = stop_probability(odds, SamplingConfig()).tolist()
    assert kept == pytest.approx([0.97, 0.6, 0.03], abs=1e-6)
    for sampling in (SamplingConfig(top_p=0.95), SamplingConfig(min_p=0.1)):
        assert stop_probability(odds, sampling).tolist() == pytest.approx([1, 0.6, 0], abs=1e-6)
    sure = torch.tensor([math.inf, -math.inf])
    assert stop_probability(sure, SamplingConfig(min_p=0.1)).tolist() == [1, 0]
    assert stop_probability(odds, SamplingConfig(temperature=0.0)).tolist() == [1, 1, 0]
    warm = stop_probability(odds, SamplingConfig(top_p=0.9, stop_temperature=3.0))
    assert 0 < float(warm[2]) < float(warm[0]) < 1
