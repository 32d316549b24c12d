"""What a checkpoint of taming is made of: tokenizers, a prior, and what only taming needs."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from loopyvq.errors import CheckpointError
from loopyvq.interop.taming_config import kind_of, mapping_at, tokenizer_config
from loopyvq.interop.taming_prior import is_mask, prior_config, prior_from_state, prior_to_state
from loopyvq.interop.taming_state import sort_names, tokenizer_from_state, tokenizer_to_state
from loopyvq.interop.torch_file import TorchFile
from loopyvq.models import Tokenizer
from loopyvq.models.taming.prior import TamingPrior

__all__ = ["Parts", "parts_from_state", "parts_to_state"]

_FIRST, _CONDITION = "first_stage_model.", "cond_stage_model."
_SECOND_STAGE = "Net2NetTransformer"


class Parts(NamedTuple):
    """The models of a checkpoint.

    Attributes:
        tokenizer: the first stage.
        prior: the second stage, if there is one.
        condition: the tokenizer of the condition, if it is one of its own.
        extras: tensors by their name in the checkpoint, such as the discriminator's.
        dropped: what was left behind, a line each.
    """

    tokenizer: Tokenizer
    prior: TamingPrior | None
    condition: Tokenizer | None
    extras: dict[str, Tensor]
    dropped: list[str]


def parts_from_state(
    file: TorchFile, state: Mapping[str, Any], section: Mapping[str, Any], config: object
) -> Parts:
    """Build the models of a checkpoint; tensors that are dropped are never read.

    Args:
        file: the checkpoint.
        state: its tensors, not read yet.
        section: the ``model`` section of its YAML file.
        config: that file, for the messages.

    Returns:
        The models, in evaluation mode.

    Raises:
        CheckpointError: the tensors do not fit the section.
        ConfigError: the section describes something else than taming's models.
    """
    if kind_of(section, config) != _SECOND_STAGE:
        return _tokenizer_parts(file, state, section, config, "")
    params = mapping_at(section, "params", config)
    own = mapping_at(params, "first_stage_config", config)
    first = _tokenizer_parts(file, _part(state, _FIRST), own, config, _FIRST)
    rest = {name: value for name, value in state.items() if not name.startswith(_FIRST)}
    other = _part(rest, _CONDITION)
    dropped = list(first.dropped)
    masks = [name for name in rest if is_mask(name)]
    if masks:
        dropped.append(f"masks of the transformer: {len(masks)} tensors")
    kept = [name for name in rest if not is_mask(name) and not name.startswith(_CONDITION)]
    order = rest.get("permuter.forward_shuffle_idx")
    sizes = prior_config(params, 0 if order is None else _length(order), config)
    prior = prior_from_state(sizes, file.tensors({name: rest[name] for name in kept}), file.path)
    if sizes.condition == "tokenizer":
        section = mapping_at(params, "cond_stage_config", config)
        second = _tokenizer_parts(file, other, section, config, _CONDITION)
        extras = first.extras | second.extras
        return Parts(first.tokenizer, prior, second.tokenizer, extras, dropped + second.dropped)
    if sizes.condition == "first_stage":
        _require_same(file, _part(state, _FIRST), other)
        dropped.append(f"second copy of the first stage: {len(other)} tensors")
    elif other:
        raise CheckpointError(f"{file.path} does not fit its config: it also has a condition")
    return Parts(first.tokenizer, prior, None, first.extras, dropped)


def parts_to_state(parts: Parts, source: object) -> dict[str, Tensor]:
    """Put models together under taming's names; the inverse of `parts_from_state`.

    Args:
        parts: the models.
        source: where they come from, for the message.

    Returns:
        The tensors by taming's names.

    Raises:
        CheckpointError: taming could not hold a tokenizer.
    """
    state = tokenizer_to_state(parts.tokenizer, source)
    if parts.prior is None:
        return state | parts.extras
    whole = {f"{_FIRST}{name}": tensor for name, tensor in state.items()} | parts.extras
    if parts.prior.config.condition == "first_stage":
        copies = _part(whole, _FIRST)
    else:
        copies = {} if parts.condition is None else tokenizer_to_state(parts.condition, source)
    whole |= {f"{_CONDITION}{name}": tensor for name, tensor in copies.items()}
    return whole | prior_to_state(parts.prior)


def _tokenizer_parts(
    file: TorchFile,
    state: Mapping[str, Any],
    section: Mapping[str, Any],
    config: object,
    start: str,
) -> Parts:
    """Build one tokenizer, whose names in the checkpoint have a beginning in common."""
    names = sort_names(state)
    if start and any("quantize.used" in name for name in names.aside):
        raise CheckpointError(
            f"{file.path} has a transformer over some of the codes only (remap), which is not "
            f"supported: convert its first stage alone"
        )
    sizes = tokenizer_config(section, config)
    tokenizer = tokenizer_from_state(sizes, file.tensors(names.used), file.path)
    extras = {f"{start}{name}": tensor for name, tensor in file.tensors(names.aside).items()}
    dropped = [f"{start}{reason}: {count} tensors" for reason, count in names.dropped.items()]
    return Parts(tokenizer, None, None, extras, dropped)


def _require_same(file: TorchFile, first: dict[str, Any], second: dict[str, Any]) -> None:
    """Check that a condition that is said to be the first stage is the first stage."""
    ours, theirs = file.tensors(first), file.tensors(second)
    same = ours.keys() == theirs.keys()
    if not same or not all(torch.equal(ours[name], theirs[name]) for name in ours):
        raise CheckpointError(f"{file.path} has a condition other than its first stage")


def _part(state: Mapping[str, Any], start: str) -> dict[str, Any]:
    return {
        name.removeprefix(start): value for name, value in state.items() if name.startswith(start)
    }


def _length(order: Any) -> int:
    return int(order.shape[0]) if len(order.shape) == 1 else 0
