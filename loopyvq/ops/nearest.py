"""Which code is nearest: a float32 search whose answers do not depend on how it was run.

A matrix product gives every score with a small rounding error that changes with the batch size
and the number of threads, so near-ties would flip. Here the data are centred, and rows in which
several codes lie within the error bound of the best are ranked again in float64. Exact ties go to
the lowest index.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from loopyvq.ops.precision import full_float32, no_autocast

__all__ = ["nearest_code"]

# Rows per block so that a block of scores (rows x codes x 4 bytes) stays in a core's cache.
_SCORES_PER_BLOCK = 1 << 19
# Exact distances closer than their own float64 rounding tie.
_TIE = 2.0**-50


def nearest_code(
    vectors: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"]
) -> Int[Tensor, " n"]:
    """Find the code nearest to each vector, as an exhaustive float64 search would.

    Args:
        vectors: float32 or float64, on the codebook's device; rows that are not finite get some
            code and disturb no other row.
        codebook: the codes, at least one, finite.

    Returns:
        For each row, ``argmin_k |vector - codebook[k]|``; the lowest index among those that
        float64 cannot tell apart.

    Raises:
        ValueError: the codebook is empty or the widths differ.

    Example:
        >>> nearest_code(torch.tensor([[0.9], [0.1]]), torch.tensor([[0.0], [1.0]])).tolist()
        [1, 0]
    """
    if codebook.shape[0] == 0 or codebook.shape[1] != vectors.shape[1]:
        raise ValueError(
            f"the codebook must hold codes of width {vectors.shape[1]}, "
            f"got shape {tuple(codebook.shape)}"
        )
    with no_autocast(vectors.device), full_float32():
        exact_codes = codebook.detach().double()
        centre = exact_codes.mean(dim=0)
        centred = (exact_codes - centre).float()
        squares = centred.square().sum(dim=1)
        rows = max(1, _SCORES_PER_BLOCK // codebook.shape[0])
        # One place for all answers: small ones between the blocks would fragment the memory.
        found = torch.empty(len(vectors), dtype=torch.int64, device=vectors.device)
        for start in range(0, len(vectors), rows):
            block = vectors[start : start + rows].detach()
            found[start : start + rows] = _search_block(
                block, exact_codes, centre, centred, squares
            )
    return found


def _search_block(
    vectors: Float[Tensor, "n d"],
    exact_codes: Float[Tensor, "k d"],
    centre: Float[Tensor, " d"],
    centred_codes: Float[Tensor, "k d"],
    squares: Float[Tensor, " k"],
) -> Int[Tensor, " n"]:
    exact = vectors.double()
    centred = (exact - centre).float()
    scores = torch.addmm(squares, centred, centred_codes.T, alpha=-2.0)
    best, code = scores.min(dim=1)
    tolerance = best + _error_bound(centred, squares)
    close = scores <= tolerance.unsqueeze(1)
    doubtful = (close.sum(dim=1) > 1).nonzero().squeeze(1)
    if len(doubtful) == 0:
        return code
    row, candidate = close[doubtful].nonzero(as_tuple=True)
    ranked = _rank_exactly(exact[doubtful], exact_codes, row, candidate)
    return code.index_copy(0, doubtful, ranked)


def _error_bound(
    centred: Float[Tensor, "n d"], squares: Float[Tensor, " k"]
) -> Float[Tensor, " n"]:
    """Bound twice the rounding error of a score: any code above it is farther for certain.

    A dot product of width d is off by at most ``d u |x| |e|`` (Higham, Accuracy and Stability of
    Numerical Algorithms, 2002, eq. 3.5) with ``u = 2^-24``; centring and the sum add a few ``u``.
    """
    width = centred.shape[1]
    largest = squares.max().sqrt()
    reach = centred.square().sum(dim=1).sqrt() + largest
    return 4.0 * (width + 4) * 2.0**-24 * largest * reach


def _rank_exactly(
    vectors: Float[Tensor, "r d"],
    codes: Float[Tensor, "k d"],
    row: Int[Tensor, " p"],
    candidate: Int[Tensor, " p"],
) -> Int[Tensor, " r"]:
    """Choose per row among its candidate codes by float64 distance, then by index."""
    num_rows, num_codes = vectors.shape[0], codes.shape[0]
    distance = (vectors[row] - codes[candidate]).square().sum(dim=1)
    least = distance.new_full((num_rows,), torch.inf).scatter_reduce(0, row, distance, "amin")
    tied = distance * (1.0 - _TIE) <= least[row]
    winner = torch.where(tied, candidate, num_codes)
    return candidate.new_full((num_rows,), num_codes).scatter_reduce(0, row, winner, "amin")
