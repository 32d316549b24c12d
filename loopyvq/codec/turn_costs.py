"""What the symbols of a turn cost, nearly: the networks of contexts in 32-bit floats.

Good enough to choose by, and several times as fast as the integers that the coder needs. What the
coder rounds up to its least frequency, above some 20 bits, is dearer here.
"""

import numpy as np
import torch
from jaxtyping import Float, Float32, Int16, Shaped
from torch import Tensor
from torch.nn import functional as F

from loopyvq.coding.frequencies import SCORE_UNIT
from loopyvq.coding.network import LARGEST_ACTIVATION, Network

__all__ = ["TurnCosts", "as_floats"]

# Matrices are filled up to a multiple of this width, for which their products are fast, with
# symbols that never come.
_FAST_WIDTH = 16
_NEVER = -1e30


class TurnCosts:
    """One turn of the search: its codes, and what its symbols cost in which context.

    Args:
        network: of the turn.
        codes: of the turn.
        metric: how much a squared error of each entry weighs.
        keeps: share of a squared error that later turns leave of it.
        num_around: how many of the features are the neighbours'.
    """

    def __init__(
        self,
        network: Network,
        codes: Float[np.ndarray, "k d"],
        metric: Float[np.ndarray, " d"],
        keeps: float,
        num_around: int,
    ) -> None:
        (first, bias), (self._second, self._second_bias), (last, last_bias) = (
            _layer(*layer) for layer in network
        )
        self._around, self._own, self._bias = first[:num_around], first[num_around:], bias
        nats, num_symbols = np.log(2) / SCORE_UNIT, last.shape[1]
        self._filled = -num_symbols % _FAST_WIDTH
        self._last = F.pad(last * nats, (0, self._filled))
        self._last_bias = F.pad(last_bias * nats, (0, self._filled), value=_NEVER)
        # Neither a dummy nor a stop adds anything, and after a stop no turn follows.
        self.codes = F.pad(as_floats(codes), (0, 0, 0, 2 + self._filled))
        self.metric, self.keeps = as_floats(metric), keeps
        self._products = (-2 * keeps * (self.codes * self.metric).T).contiguous()
        self._norms = keeps * (self.codes**2 @ self.metric)
        self._norms[num_symbols - 1 :] = torch.inf

    def hear(self, around: Int16[np.ndarray, "n a"]) -> Float32[Tensor, "n h"]:
        """Take in what all ways of a site have in common: what it sees of its neighbours."""
        return torch.addmm(self._bias, as_floats(around), self._around)

    def nats(
        self, heard: Float32[Tensor, "m h"], own: Int16[np.ndarray, "m f"]
    ) -> Float32[Tensor, "m w"]:
        """Tell what each symbol costs, in nats; behind the symbols stands what fills up."""
        hidden = torch.addmm(heard, as_floats(own), self._own).clamp_(0, LARGEST_ACTIVATION)
        hidden = torch.addmm(self._second_bias, hidden, self._second)
        scores = torch.addmm(self._last_bias, hidden.clamp_(0, LARGEST_ACTIVATION), self._last)
        return torch.logsumexp(scores, dim=1, keepdim=True) - scores

    def correct(self, ratio: Float32[Tensor, " s"]) -> None:
        """Multiply each symbol's weight, as the coder does when it has seen all of the image."""
        self._last_bias += F.pad(ratio.log(), (0, self._filled))

    def energy(self, left: Float32[Tensor, "*m d"]) -> Float32[Tensor, "*m"]:
        """Weigh the squared error of stopping here."""
        return left.square() @ self.metric

    def errors(self, left: Float32[Tensor, "m d"]) -> Float32[Tensor, "m w"]:
        """Weigh the squared error that is expected after each code and a dummy; else infinity."""
        errors = torch.addmm(self._norms, left, self._products)
        return errors.add_(self.keeps * self.energy(left).unsqueeze(1))


def as_floats(array: Shaped[np.ndarray, "..."]) -> Float32[Tensor, "..."]:
    """Convert to 32-bit floats."""
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))


def _layer(
    weights: Shaped[np.ndarray, "out in"], bias: Shaped[np.ndarray, " out"], shift: int
) -> tuple[Float32[Tensor, "in out"], Float32[Tensor, " out"]]:
    return as_floats(weights.T * 2.0**-shift), as_floats(bias * 2.0**-shift)
