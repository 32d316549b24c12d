"""Names of taming's tensors and ours, in both directions."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from loopyvq.checkpoint import load_weights
from loopyvq.errors import CheckpointError
from loopyvq.interop.blank import blank_state
from loopyvq.models import TamingConfig, Tokenizer

__all__ = [
    "Sorted",
    "require_names",
    "require_shape",
    "sort_names",
    "taming_names",
    "tokenizer_from_state",
    "tokenizer_to_state",
]

_DROPPED = {
    "loss.perceptual_loss.": "LPIPS network",
    "loss.logvar": "learned variance of the loss",
    "model_ema.": "averaged copy of the weights",
}
_KEPT_ASIDE = ("loss.discriminator.", "colorize", "quantize.used")


class Sorted(NamedTuple):
    """What becomes of the tensors of a file.

    Attributes:
        used: those of the networks, by name.
        aside: those that only taming itself needs, such as the discriminator's.
        dropped: how many go, by what they are.
    """

    used: dict[str, Any]
    aside: dict[str, Any]
    dropped: dict[str, int]


def sort_names(state: Mapping[str, Any]) -> Sorted:
    """Tell the tensors of a tokenizer from those of its loss.

    Args:
        state: by taming's names.

    Returns:
        The same, sorted.
    """
    found = Sorted({}, {}, {})
    for name, value in state.items():
        reason = next((text for start, text in _DROPPED.items() if name.startswith(start)), None)
        if reason is not None:
            found.dropped[reason] = found.dropped.get(reason, 0) + 1
        elif name.startswith(_KEPT_ASIDE):
            found.aside[name] = value
        else:
            found.used[name] = value
    return found


def tokenizer_from_state(
    config: TamingConfig, state: Mapping[str, Tensor], source: object
) -> Tokenizer:
    """Build a tokenizer from taming's tensors.

    Args:
        config: the sizes.
        state: the tensors of the networks, by taming's names.
        source: the file they come from, for the message.

    Returns:
        The tokenizer, in evaluation mode.

    Raises:
        CheckpointError: a tensor is missing, unknown, of another shape than the config says, or
            no codebook of finite numbers.
    """
    blank = blank_state(lambda: Tokenizer(config), state, source)
    names = taming_names(blank, config)
    require_names(state, names, source)
    tensors = {}
    for taming_name, name in names.items():
        tensor = state[taming_name]
        is_scores = name == "quantizer.scores.weight" and tensor.shape[2:] == (1, 1)
        tensors[name] = tensor[:, :, 0, 0] if is_scores else tensor
        require_shape(tensors[name], blank[name], taming_name, source)
    if not bool(tensors["quantizer.codebook.weight"].isfinite().all()):
        raise CheckpointError(f"{source} has a codebook with numbers that are not finite")
    tokenizer = Tokenizer(config)
    load_weights(tokenizer, {**tokenizer.state_dict(), **tensors}, str(source))
    tokenizer.quantizer.codebook.initialised.fill_(True)
    return tokenizer.eval()


def tokenizer_to_state(tokenizer: Tokenizer, source: object) -> dict[str, Tensor]:
    """Give taming's tensors of a tokenizer.

    Args:
        tokenizer: of taming's architecture, with one code per site.
        source: the file it comes from, for the message.

    Returns:
        The tensors by taming's names, contiguous.

    Raises:
        CheckpointError: the tokenizer has other networks, or a loop of more than one turn.
    """
    config = tokenizer.config
    if not isinstance(config, TamingConfig):
        raise CheckpointError(f"{source} has networks of our own, which taming does not know")
    if config.quantizer.max_depth != 1:
        raise CheckpointError(
            f"{source} has up to {config.quantizer.max_depth} tokens per site, taming has one"
        )
    own, state = tokenizer.state_dict(), {}
    for taming_name, name in taming_names(own, config).items():
        is_scores = name == "quantizer.scores.weight"
        kept = own[name][:, :, None, None] if is_scores else own[name]
        # `contiguous` alone can keep the channels-last order of memory.
        state[taming_name] = kept.detach().cpu().clone(memory_format=torch.contiguous_format)
    return state


def taming_names(names: Iterable[str], config: TamingConfig) -> dict[str, str]:
    """Translate the names of a tokenizer's tensors.

    Args:
        names: ours.
        config: of the tokenizer.

    Returns:
        taming's name of every tensor that it has, and ours.
    """
    pairs = ((_taming_name(name, config), name) for name in names)
    return {taming_name: name for taming_name, name in pairs if taming_name}


def require_names(state: Mapping[str, Any], expected: Iterable[str], source: object) -> None:
    """Check that names are exactly those expected.

    Args:
        state: by name.
        expected: the names.
        source: the file they come from, for the message.

    Raises:
        CheckpointError: a name is missing or unknown.
    """
    wanted = set(expected)
    for what, names in (("lacks", wanted - state.keys()), ("also has", state.keys() - wanted)):
        if names:
            listed = ", ".join(sorted(names)[:3]) + (", ..." if len(names) > 3 else "")
            raise CheckpointError(f"{source} does not fit its config: it {what} {listed}")


def require_shape(tensor: Tensor, like: Tensor, name: str, source: object) -> None:
    """Check that a tensor has the shape of another.

    Args:
        tensor: what came.
        like: what must be.
        name: of the tensor, for the message.
        source: the file it comes from, for the message.

    Raises:
        CheckpointError: the shapes differ.
    """
    if tensor.shape != like.shape:
        raise CheckpointError(
            f"{source} does not fit its config: {name} is {tuple(tensor.shape)}, "
            f"expected {tuple(like.shape)}"
        )


def _taming_name(name: str, config: TamingConfig) -> str | None:
    """Translate a name of ours; None for state that taming has not."""
    codebook = "embed" if config.assignment == "gumbel" else "embedding"
    if name.startswith(("encoder.quant_conv.", "decoder.post_quant_conv.")):
        return name.partition(".")[2]
    if name.startswith(("encoder.", "decoder.")):
        return name
    if name.startswith("quantizer.scores."):
        return name.replace("quantizer.scores.", "quantize.proj.")
    return f"quantize.{codebook}.weight" if name == "quantizer.codebook.weight" else None
