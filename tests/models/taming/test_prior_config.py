import pytest

from loopyvq.errors import ConfigError
from loopyvq.models.taming.prior_config import TamingPriorConfig


def test_ranges_are_checked():
    with pytest.raises(ConfigError, match="0 or more"):
        TamingPriorConfig(start_symbol=-1)
    with pytest.raises(ConfigError, match="at least 1"):
        TamingPriorConfig(condition_downsampling=0)
