import pytest
import torch

from loopyvq.models.prior.attention import TransformerConfig
from loopyvq.models.prior.condition_embedding import ConditionConfig
from loopyvq.models.prior.site_prior import SitePrior, SitePriorConfig

SIZE, DEPTH = 5, 3


def make_prior(condition: ConditionConfig | None = None, **options: object) -> SitePrior:
    """A prior that knows nothing, but draws different tokens everywhere."""
    torch.manual_seed(0)
    sizes = TransformerConfig(width=16, layers=1, heads=2)
    config = SitePriorConfig(
        codebook_size=SIZE,
        max_depth=DEPTH,
        rows=4,
        columns=4,
        transformer=sizes,
        depth=sizes,
        condition=condition or ConditionConfig(),
        **options,  # type: ignore[arg-type]
    )
    prior = SitePrior(config)
    for parameter in prior.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.5)
    return prior.eval()


@pytest.fixture(scope="session")
def prior() -> SitePrior:
    return make_prior()
