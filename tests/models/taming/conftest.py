import pytest

from loopyvq.models.taming import TamingConfig, plain_quantizer


@pytest.fixture
def taming_config() -> TamingConfig:
    """Networks that run in milliseconds: three levels, attention at the last."""
    return TamingConfig(
        resolution=32,
        base_channels=32,
        multipliers=(1, 2, 2),
        blocks=1,
        attention_levels=(2,),
        latent_channels=8,
        quantizer=plain_quantizer(16, 4),
    )
