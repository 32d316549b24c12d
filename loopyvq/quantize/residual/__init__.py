"""The residual loop: subtract the nearest code, look at what is left, go round again.

q = 0
for t in 0..max_depth-1:
    r = (z - sigma q) / sigma
    if |r| <= threshold: stop
    k = argmin_j |r - g_t e_j|
    if |r - g_t e_k|^2 < (1 - min_gain) |r|^2:  q += g_t e_k ; emit k
    else:                                       emit CONTINUE
"""

import torch
from jaxtyping import Float
from torch import Tensor

from loopyvq.quantize.residual.backends import compiled_path, prefers_compiled, prefers_gram
from loopyvq.quantize.residual.dense import dense_walk
from loopyvq.quantize.residual.direct import direct_walk
from loopyvq.quantize.residual.table import GramTable, TableCache
from loopyvq.quantize.residual.walk import Limits, Walk

__all__ = ["Limits", "TableCache", "Walk", "residual_walk"]


def residual_walk(
    latents: Float[Tensor, "n d"],
    codes: Float[Tensor, "k d"],
    gains: Float[Tensor, " l"],
    sigma: Float[Tensor, ""],
    limits: Limits,
    cache: TableCache | None = None,
) -> Walk:
    """Run the residual loop on every vector.

    The error is that of the decoder's own sum, rounded as the decoder rounds it, and is measured
    in float64: what the loop stops on is what will be decoded. Which way it runs depends on the
    machine and the sizes (`loopyvq.quantize.residual.backends`); the codes do not. Codes whose
    float64 distances differ by less than their rounding tie, and the lowest index wins.

    Args:
        latents: the vectors, in their own units, finite where the depth is not 0.
        codes: the codebook, in units of ``sigma``.
        gains: the factor of each turn, positive.
        sigma: the unit, positive.
        limits: when to stop.
        cache: keeps what was computed ahead of the codes for the next call.

    Returns:
        The codes, the lengths and the errors along the way.
    """
    if prefers_compiled(latents):
        cache = cache or TableCache()
        with_gram = prefers_gram(latents, codes, gains)
        table = cache.get(codes, gains, with_gram=with_gram)
        if table is None:
            built = GramTable.build(codes, gains, with_gram=with_gram, multiple=compiled_path().MULTIPLE)
            table = cache.keep(built)
        return compiled_path().compiled_walk(latents, sigma, table, limits)
    codebooks = gains[:, None, None] * codes
    if latents.is_cuda or torch.compiler.is_compiling():
        return dense_walk(latents, codebooks, sigma, limits)
    return direct_walk(latents, codebooks, sigma, limits)
