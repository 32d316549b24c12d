"""Every kind of prior under its name in files and configs."""

from typing import Any, NamedTuple

from torch import nn

from loopyvq.models.prior.flat_tokens import FlatTokensConfig, FlatTokensPrior
from loopyvq.models.prior.site_prior import SitePrior, SitePriorConfig
from loopyvq.models.taming.prior import TamingPrior, TamingPriorConfig

__all__ = ["PRIORS", "PriorKind"]


class PriorKind(NamedTuple):
    """A kind of prior.

    Attributes:
        model: its class.
        config: the class of its config.
    """

    model: type[nn.Module]
    config: type[Any]


PRIORS: dict[str, PriorKind] = {
    "site": PriorKind(SitePrior, SitePriorConfig),
    "flat": PriorKind(FlatTokensPrior, FlatTokensConfig),
    "taming": PriorKind(TamingPrior, TamingPriorConfig),
}
"""Name of every prior, as files hold it."""
