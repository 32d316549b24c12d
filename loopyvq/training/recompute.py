"""Trade time for memory: keep no activations inside of blocks, compute them again going back."""

from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from loopyvq.models import blocks
from loopyvq.models.taming import layers

__all__ = ["recompute_blocks"]

_BLOCKS = (
    blocks.AttentionBlock,
    blocks.ResidualBlock,
    layers.AttentionBlock,
    layers.ResidualBlock,
)


def recompute_blocks(model: nn.Module) -> int:
    """Let every residual and attention block of a model compute its activations twice.

    Gradients and random draws stay what they were. Nothing is stored in the state dict.

    Args:
        model: changed in place.

    Returns:
        The number of blocks.
    """
    found = [module for module in model.modules() if isinstance(module, _BLOCKS)]
    for module in found:
        module.forward = partial(  # type: ignore[method-assign]
            checkpoint, module.forward, use_reentrant=False
        )
    return len(found)
