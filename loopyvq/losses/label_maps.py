"""How far reconstructed label maps are from those that were encoded."""

from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn import functional as F

__all__ = ["label_map_loss"]


def label_map_loss(
    logits: Float[Tensor, "b n H W"], maps: Float[Tensor, "b n H W"]
) -> Float32[Tensor, ""]:
    """Compare every label's plane on its own: is it here, or is it not?

    With m in {0, 1} and the logit x the mean of ``-m log s(x) - (1 - m) log(1 - s(x))`` over
    pixels and labels, s the logistic function; it is what taming trains its segmentation models
    with.

    Args:
        logits: of each label at each pixel.
        maps: one-hot.

    Returns:
        The mean, in nats; log 2 for logits of 0.

    Example:
        >>> import torch
        >>> label_map_loss(torch.zeros(1, 2, 1, 1), torch.tensor([[[[1.0]], [[0.0]]]]))
        tensor(0.6931)
    """
    return F.binary_cross_entropy_with_logits(logits.float(), maps.float())
