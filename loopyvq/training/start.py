"""Weights that a training starts from: another tokenizer's, perhaps of fewer or more turns."""

import torch
from torch import Tensor

from loopyvq.checkpoint import load_tokenizer, load_weights
from loopyvq.models import AnyTokenizerConfig, Tokenizer
from loopyvq.models.decoder import Decoder

__all__ = ["start_tokenizer"]

# What has an entry per turn; further turns begin as the last.
_GAINS = ("quantizer.gains.logits", "quantizer.gains.ratios")
_PER_TURN = (*_GAINS, "decoder.length_cue.weight")


def start_tokenizer(config: AnyTokenizerConfig, path: str) -> Tokenizer:
    """Build a tokenizer, fresh or with the weights of another one of the same networks.

    The other may have fewer turns: further ones go on with its last ratio of gains, or fall as
    those of a fresh model where it has none. Or more: its first ones are kept. If it was trained
    for fixed depths, which show the decoder no threshold, the decoder begins by answering to all
    thresholds alike.

    Args:
        config: the sizes.
        path: what `load_tokenizer` reads; empty for fresh weights.

    Returns:
        The tokenizer, in training mode.

    Raises:
        CheckpointError: the file is missing, damaged, or of other sizes.
    """
    tokenizer = Tokenizer(config)
    if not path:
        return tokenizer
    source = load_tokenizer(path)
    state = dict(source.state_dict())
    own, known = tokenizer.quantizer, source.quantizer
    if own.gains.learned != known.gains.learned or 1 in (own.max_depth, known.max_depth):
        own.gains.set(_joined(known.gains(), own.gains()))
        state = {name: item for name, item in state.items() if name not in _GAINS}
        state |= {name: item for name, item in tokenizer.state_dict().items() if name in _GAINS}
    wanted = tokenizer.state_dict()
    for name in _PER_TURN:
        if name in state and name in wanted:
            state[name] = _continued(state[name], len(wanted[name]))
    load_weights(tokenizer, state, path)
    if source.config.quantizer.threshold == 0 and isinstance(tokenizer.decoder, Decoder):
        tokenizer.decoder.hold_threshold(0.0)
    return tokenizer


def _continued(entries: Tensor, count: int) -> Tensor:
    """Keep the first entries, or repeat the last one."""
    more = max(0, count - len(entries))
    return torch.cat([entries[:count], entries[-1:].expand(more, *entries.shape[1:])])


def _joined(gains: Tensor, fresh: Tensor) -> Tensor:
    """Let gains of another number of turns, or of another kind, fall on as fresh ones do."""
    first = gains[: len(fresh)]
    return torch.cat([first, fresh[len(first) :] * (first[-1] / fresh[len(first) - 1])])
