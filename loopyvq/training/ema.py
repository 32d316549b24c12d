"""A running average of the weights, which reconstructs better than the last ones."""

import copy

import torch
from torch import Tensor, nn

__all__ = ["WeightAverage"]


class WeightAverage:
    """Keep a copy of a model whose parameters follow its own slowly.

    Buffers are copied as they are: codes, scale and curve are averages already.

    Args:
        model: the model in training; the copy starts from it.
        decay: share of the average that is kept per step, in ``[0, 1)``; smaller early on, so that
            the start is forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Follow the model after a step.

        Args:
            model: the model in training.
            step: steps done so far.
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        own: list[Tensor] = list(self.model.parameters())
        new: list[Tensor] = [parameter.detach() for parameter in model.parameters()]
        torch._foreach_lerp_(own, new, 1.0 - decay)
        for kept, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            kept.copy_(buffer)
