from dataclasses import replace

import pytest

from loopyvq.errors import ConfigError
from loopyvq.evaluation import (
    default_points,
    points_at_depths,
    points_at_lengths,
    points_at_thresholds,
)
from loopyvq.models import Tokenizer


def test_each_kind_of_point(tokenizer):
    assert [tuple(p) for p in points_at_thresholds(tokenizer, [0.5, 0.0])] == [(0.5, 4), (0.0, 4)]
    assert [tuple(p) for p in points_at_depths(tokenizer, [1, 4])] == [(0.0, 1), (0.0, 4)]
    lengths = [point.threshold for point in points_at_lengths(tokenizer, [0.5, 1.0, 3.0])]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > lengths[-1]


def test_a_model_of_fixed_depth_is_looked_at_by_depth(tokenizer, tiny_config):
    loose = default_points(tokenizer)
    assert len(loose) == 6
    assert all(point.depth == 4 and point.threshold > 0 for point in loose)
    fixed = Tokenizer(replace(tiny_config, quantizer=replace(tiny_config.quantizer, threshold=0.0)))
    assert [point.depth for point in default_points(fixed)] == [1, 2, 3, 4]


def test_values_out_of_range_are_refused(tokenizer):
    for bad in ([-0.1], [float("nan")]):
        with pytest.raises(ConfigError, match="thresholds"):
            points_at_thresholds(tokenizer, bad)
    for depth in (0, 5):
        with pytest.raises(ConfigError, match=r"within 1\.\.4"):
            points_at_depths(tokenizer, [depth])
    with pytest.raises(ConfigError, match=r"within 0\.\.4"):
        points_at_lengths(tokenizer, [4.5])
