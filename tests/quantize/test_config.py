import pytest

from loopyvq.errors import ConfigError
from loopyvq.quantize.config import LoopConfig


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("codebook_size", 0),
        ("codebook_dim", 0),
        ("max_depth", 0),
        ("max_depth", 256),
        ("beam_size", 0),
        ("min_length", 9),
        ("min_length", -1),
        ("first_dummy", -1),
        ("first_dummy", 9),
        ("threshold", -0.1),
        ("token_price", -0.1),
        ("gain_ratio", 0.0),
        ("gain_ratio", 1.1),
        ("step_size", 0.0),
        ("min_gain", 1.0),
        ("ema_decay", 1.0),
        ("revive_below", -1.0),
        ("commitment_weight", float("nan")),
    ],
)
def test_values_out_of_range_are_named(name, value):
    with pytest.raises(ConfigError, match=f"{name} must be .*, got {value}"):
        LoopConfig(**{name: value})


def test_a_pull_has_one_stop_rule():
    with pytest.raises(ConfigError, match="threshold"):
        LoopConfig(transform="pull", stop="rate_distortion")


def test_a_pull_cannot_be_asked_for_more_than_its_one_code():
    with pytest.raises(ConfigError, match="min_length is 1 at most, got 2"):
        LoopConfig(transform="pull", min_length=2)


def test_a_pull_has_dummies_before_its_code():
    with pytest.raises(ConfigError, match="first_dummy must be 0"):
        LoopConfig(transform="pull", first_dummy=1)


def test_a_pull_has_no_sums_to_keep():
    with pytest.raises(ConfigError, match="beam_size must be 1"):
        LoopConfig(transform="pull", beam_size=2)


@pytest.mark.parametrize("transform", ["residual", "pull"])
def test_a_price_per_code_needs_a_stop_rule_that_weighs(transform):
    with pytest.raises(ConfigError, match="priced_codes needs stop = rate_distortion"):
        LoopConfig(transform=transform, priced_codes=True)
    assert LoopConfig(priced_codes=True, stop="rate_distortion").beam_size == 1


@pytest.mark.parametrize("options", [{}, {"transform": "pull", "codebook_update": "frozen"}])
def test_a_first_codebook_belongs_to_a_residual_loop_that_is_frozen(options):
    with pytest.raises(ConfigError, match="needs transform = residual and codebook_update = froz"):
        LoopConfig(first_codebook=True, **options)
    assert LoopConfig(first_codebook=True, codebook_update="frozen").max_depth == 8


@pytest.mark.parametrize("supports", [(0,), (2, 13), (-1,)])
def test_codes_cannot_have_more_entries_than_they_are_wide(supports):
    with pytest.raises(ConfigError, match=r"code_supports must be within 1\.\.codebook_dim = 12"):
        LoopConfig(code_supports=supports)


@pytest.mark.parametrize(
    "options",
    [
        {"transform": "pull"},
        {"codebook_update": "gradient"},
        {"first_codebook": True, "codebook_update": "frozen"},
    ],
)
def test_codes_of_few_entries_need_averages_and_sums(options):
    with pytest.raises(ConfigError, match="code_supports need transform = residual"):
        LoopConfig(code_supports=(2,), **options)
    assert LoopConfig(code_supports=(2,)).code_supports == (2,)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("codebook_update", "EMA", "one of ema, gradient, frozen, got EMA"),
        ("scale", "RMS", "one of rms, absolute, got RMS"),
        ("transform", "Pull", "one of residual, pull, got Pull"),
        ("stop", "x", "one of threshold, rate_distortion, got x"),
        ("codebook_size", 2.5, "whole, got 2.5"),
    ],
)
def test_words_and_whole_numbers_are_checked_without_a_type_checker(name, value, message):
    config = LoopConfig()
    object.__setattr__(config, name, value)
    with pytest.raises(ConfigError, match=f"{name} must be {message}"):
        config.__post_init__()
