"""Codes and stops chosen by what they cost: the encoder asks the model that will code them.

The usual walk takes the nearest code, whatever it costs, and prices all tokens alike. Here every
symbol of a turn, the stop among them, is weighed by the squared error that it leaves plus a price
for each of its bits, and the bits are those of the fitted tables at this site, given all that was
chosen before. The decoder reads the result like any other tokens.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from loopyvq.codec.searching import searched
from loopyvq.codec.stakes import BITS_OF_GOING_ON, Aim, stakes_of
from loopyvq.coding import CodedTokens, Tables
from loopyvq.coding.in_context import NetworkModel
from loopyvq.coding.range_coder import TOTAL
from loopyvq.coding.turns import CONTINUE, PAD, share_at
from loopyvq.quantize import LoopQuantizer
from loopyvq.tokens import Tokens

__all__ = ["WeighingPort", "weighed_tokens"]

_BITS_OF_CERTAINTY = TOTAL.bit_length() - 1


class WeighingPort:
    """Chooses the symbols of a turn where an encoder would look them up; see `Port`.

    Args:
        residuals: what is left at every site, in units of ``sigma``; the chosen codes are
            subtracted from it.
        codes: of this turn, its gain included.
        price: of a bit at each site, in squared error.
        keeps: share of a squared error that later turns will leave of it.
        may_stop: whether sites may end in this turn.
        metric: how much a squared error of each entry weighs; by default 1.
    """

    def __init__(
        self,
        residuals: Float[np.ndarray, "h w d"],
        codes: Float[np.ndarray, "k d"],
        price: Float[np.ndarray, "h w"],
        keeps: float = 1.0,
        may_stop: bool = True,
        metric: Float[np.ndarray, " d"] | None = None,
    ) -> None:
        self.plane = np.full(residuals.shape[:2], len(codes) + 1, np.int64)
        self.stop = len(codes) + 1
        self._residuals, self._codes = residuals, codes
        self._metric = np.ones(codes.shape[1]) if metric is None else metric
        self._products = (-2 * keeps * (codes * self._metric).T).astype(np.float32)
        self._norms = (keeps * (codes**2) @ self._metric).astype(np.float32)
        self._price, self._keeps, self._may_stop = price.astype(np.float32), keeps, may_stop

    def symbols(
        self,
        rows: Int[np.ndarray, " n"],
        columns: Int[np.ndarray, " n"],
        frequencies: Int[np.ndarray, "*n k"],
    ) -> Int[np.ndarray, " n"]:
        """Take the symbol that costs least at each site; see `Port`."""
        size, left = len(self._codes), self._residuals[rows, columns]
        price = self._price[rows, columns, None]
        energy = left**2 @ self._metric
        # All in 32-bit floats, which are faster: a near-tie may go either way and costs the same.
        cost = np.log2(frequencies.astype(np.float32))
        cost -= _BITS_OF_CERTAINTY + BITS_OF_GOING_ON
        cost *= -price
        if self._may_stop:
            cost[:, size + 1] += energy * (1 - self._keeps) - price[:, 0] * BITS_OF_GOING_ON
        else:
            cost[:, size + 1] = np.inf
        # What all symbols have in common, the energy that is left, is left out.
        cost[:, :size] += left.astype(np.float32) @ self._products
        cost[:, :size] += self._norms
        chosen = cost.argmin(axis=1)
        self.plane[rows, columns] = chosen
        emits = chosen < size
        self._residuals[rows[emits], columns[emits]] = left[emits] - self._codes[chosen[emits]]
        return chosen

    def stops(
        self,
        rows: Int[np.ndarray, " n"],
        columns: Int[np.ndarray, " n"],
        frequencies: Int[np.ndarray, "*n 2"],
    ) -> Int[np.ndarray, " n"]:
        """Refuse: only fitted tables know what a symbol costs before it is chosen.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("weighing needs fitted tables")


@torch.no_grad()
def weighed_tokens(
    quantizer: LoopQuantizer,
    latents: Float[Tensor, "h w d"],
    tables: Tables,
    start: Tokens,
    price: float,
    *,
    may_stop: bool = True,
    min_length: int = 0,
    aim: Aim | None = None,
    ways: int = 1,
) -> Tokens:
    """Choose the tokens of an image in the context in which they will be coded.

    Turn by turn and in the order of the coder, so that each choice knows its bits exactly; what a
    choice does to the bits of its neighbours is not weighed.

    Args:
        quantizer: a residual loop.
        latents: of one image.
        tables: those that the tokens will be coded with.
        start: tokens of another rule, sites of shape ``h w``: how many sites are likely to stop in
            each turn, which the coder must know first, is read from them.
        price: of a bit, in squared error in units of ``sigma``, 0 or more.
        may_stop: whether sites may end where it pays; if not, they have the lengths of ``start``'s
            longest site.
        min_length: tokens that every site gets at least.
        aim: where they shall lead; by default to the latents, all errors alike.
        ways: how many ways from code to code are followed at every site in a second choice, that
            knows all neighbours, see `searched`; 1: there is none.

    Returns:
        The tokens, where ``start`` is.

    References:
        Chou, Lookabaugh and Gray, "Entropy-constrained vector quantization", 1989,
        https://doi.org/10.1109/29.17498
    """
    stakes = stakes_of(quantizer, latents, start, price, may_stop, min_length, aim)
    lengths_before, left = start.lengths.cpu().numpy(), stakes.vectors.copy()
    model = NetworkModel(tables, left.shape[:2], neighbours=True)
    codes = np.full((*left.shape[:2], quantizer.max_depth), PAD, np.int64)
    lengths = np.zeros(left.shape[:2], np.int64)
    active = np.ones(left.shape[:2], np.bool_)
    for turn in range(stakes.depth):
        stops_here = stakes.may_stop_in(turn)
        port = WeighingPort(
            left, stakes.codebooks[turn], stakes.prices, stakes.keeps[turn], stops_here,
            stakes.metric,
        )  # fmt: skip
        share = share_at(lengths_before, turn) if stops_here else 0
        model.code_turn(port, active, turn, share)
        active = active & (port.plane != port.stop)
        symbols = np.where(port.plane == quantizer.codebook_size, CONTINUE, port.plane)
        codes[..., turn] = np.where(active, symbols, PAD)
        lengths[active] = turn + 1
        if not active.any():
            break
    found = CodedTokens(codes, lengths)
    if ways > 1:
        found = searched(found, stakes, tables, ways)
    device = start.lengths.device
    return Tokens(*(torch.from_numpy(part).to(device) for part in found))
