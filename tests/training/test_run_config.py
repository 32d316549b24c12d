import pytest

from loopyvq.errors import ConfigError
from loopyvq.training import RunConfig


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"batch_size": 0}, "batch_size"),
        ({"workers": -1}, "workers must be 0 or more"),
        ({"batch_size": 6, "accumulate": 4}, "multiple of accumulate x devices = 4"),
        ({"batch_size": 3, "devices": 2}, "multiple of"),
        ({"average_decay": 1.0}, "average_decay"),
        ({"time_limit_s": -1.0}, "time_limit_s"),
        ({"seed": 1 << 63}, "seed must be below"),
    ],
)
def test_values_out_of_range_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        RunConfig(**changes)
