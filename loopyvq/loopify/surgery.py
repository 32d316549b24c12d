"""From one code per site to a loop: the networks and the codebook stay, further turns are fitted.

    turn 1      the old codebook, always a code ----------------> the old codes, bit for bit
    turn 2, ..  a second one, as large, with falling gains -----> what the turns before left over

The decoder has seen lengths of 1 and one threshold only. Longer sites are told as length 1 and
every threshold as that one, so that what it paints depends on the latents alone.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from loopyvq.checkpoint import load_weights
from loopyvq.errors import ConfigError
from loopyvq.models import Tokenizer
from loopyvq.models.decoder import Decoder
from loopyvq.quantize import LoopConfig, LoopQuantizer
from loopyvq.quantize.gumbel import GumbelQuantizer

__all__ = ["with_turns"]

# Where the fit of the gains starts from, its rounds, and the mean length at the default threshold.
_GAIN_RATIO = 0.75
_ITERATIONS = 20
_DEFAULT_LENGTH = 2.0
_LENGTH_CUE = "decoder.length_cue.weight"
_QUANTIZER = "quantizer."


def with_turns(
    tokenizer: Tokenizer, latents: Float[Tensor, "n d"], max_depth: int = 8, seed: int = 0
) -> Tokenizer:
    """Give a tokenizer of one code per site further turns.

    Args:
        tokenizer: the model; it is not changed.
        latents: what its encoder gives, in an order that mixes sites and images; some ten
            thousand are enough.
        max_depth: most tokens per site, at least 2.
        seed: of the samples that the second codebook starts from.

    Returns:
        A tokenizer, in evaluation mode and on the device of the old one, with the same networks,
        codebook of the first turn and scale. The first code of every site is the old one, at every
        threshold; sites of one token decode to the old image. Its quantizer learns nothing
        further.

    Raises:
        ConfigError: the model has several turns already, or chooses its code by something else
            than the distance; or ``max_depth`` is below 2.
    """
    old = tokenizer.quantizer
    _require_one_nearest_code(old)
    if max_depth < 2:
        raise ConfigError(f"max_depth must be at least 2 to add turns, got {max_depth}")
    quantizer = _with_fitted_turns(old, latents, max_depth, seed)
    threshold = float(quantizer.length_curve.threshold_for(torch.tensor(_DEFAULT_LENGTH)))
    loop = replace(quantizer.config, threshold=float(f"{threshold:.3g}"))
    result = Tokenizer(replace(tokenizer.config, quantizer=loop))
    tensors = tokenizer.state_dict()
    tensors = {name: item for name, item in tensors.items() if not name.startswith(_QUANTIZER)}
    tensors |= {f"{_QUANTIZER}{name}": item for name, item in quantizer.state_dict().items()}
    if _LENGTH_CUE in tensors:
        cue = tensors[_LENGTH_CUE]
        tensors[_LENGTH_CUE] = torch.cat([cue, cue[-1:].expand(max_depth - 1, -1)])
    load_weights(result, tensors, "the loopified tokenizer")
    if isinstance(result.decoder, Decoder):
        result.decoder.hold_threshold(old.config.threshold)
    return result.to(old.sigma.device).eval()


def _require_one_nearest_code(quantizer: LoopQuantizer) -> None:
    config = quantizer.config
    if isinstance(quantizer, GumbelQuantizer):
        raise ConfigError(
            "a Gumbel quantizer chooses its code by a learned score, which does not go on with "
            "what is left over: loopify a model that takes the nearest code"
        )
    if config.max_depth > 1:
        raise ConfigError(
            f"the model has up to {config.max_depth} tokens per site already: loopify one with "
            f"a single code per site"
        )
    if config.transform != "residual":
        raise ConfigError("a pull has one code, however long it is: it has no further turns")


def _with_fitted_turns(
    old: LoopQuantizer, latents: Tensor, max_depth: int, seed: int
) -> LoopQuantizer:
    """Go on from a quantizer: its codes and scale, all else from data."""
    options: LoopConfig = replace(
        old.config,
        max_depth=max_depth,
        min_length=1,
        first_dummy=0 if old.config.dummies else 1,
        dummies=True,
        gain_ratio=_GAIN_RATIO,
        learn_gains=False,
        start_iterations=_ITERATIONS,
        codebook_update="frozen",
        first_codebook=True,
    )
    quantizer = LoopQuantizer(options).to(old.sigma.device).eval()
    quantizer.scale.load_state_dict(old.scale.state_dict())
    first = old.codebook.weight.detach()
    quantizer.fit_later_turns(first, latents, torch.Generator().manual_seed(seed))
    return quantizer
