"""Every kind of prior under its name in files and configs."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from loopyvq.models.prior.flat_tokens import FlatTokensConfig, FlatTokensPrior
from loopyvq.models.prior.site_prior import SitePrior, SitePriorConfig
from loopyvq.models.taming.prior import TamingPrior, TamingPriorConfig

__all__ = ["PRIORS", "PriorKind", "upgraded"]


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


def upgraded(tensors: Mapping[str, Tensor], prior: nn.Module) -> Mapping[str, Tensor]:
    """Bring the weights of older files to the names of today.

    Args:
        tensors: of a file.
        prior: the model that its config makes.

    Returns:
        The weights: turns that shared one bias each have it, and classes that stood in the prefix
        alone say nothing elsewhere.
    """
    found = dict(tensors)
    if isinstance(prior, SitePrior) and "depth.head.bias" in found:
        shared = found.pop("depth.head.bias")
        found["depth.odds"] = shared.repeat(prior.config.max_depth, 1)
    for name, tensor in tensors.items():
        if name.endswith("condition.classes.table.weight"):
            found.setdefault(name.replace(".table.", ".everywhere."), torch.zeros_like(tensor))
    return found
