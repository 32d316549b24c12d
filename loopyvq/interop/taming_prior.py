"""taming's second stage: its config, and the names of its tensors in both directions."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from loopyvq.checkpoint import load_weights
from loopyvq.errors import CheckpointError, ConfigError
from loopyvq.interop.blank import blank_state
from loopyvq.interop.taming_config import (
    TOKENIZER_TARGETS,
    kind_of,
    mapping_at,
    number,
    whole_number,
)
from loopyvq.interop.taming_state import require_names, require_shape
from loopyvq.models.prior.flat_prior import FlatPriorConfig
from loopyvq.models.taming.prior import TamingPrior, TamingPriorConfig

__all__ = ["is_mask", "prior_config", "prior_from_state", "prior_to_state"]

_Condition = Literal["none", "class", "coordinates", "tokenizer", "first_stage", "tokens"]
_CONDITIONS: dict[str, _Condition] = {
    "SOSProvider": "none",
    "Labelator": "class",
    "CoordStage": "coordinates",
    "DummyCondStage": "tokens",
    **dict.fromkeys(TOKENIZER_TARGETS, get_args(_Condition)[3]),
}
_ORDER = "permuter.forward_shuffle_idx"
_ORDER_BACK = "permuter.backward_shuffle_idx"
_PARTS = ("query", "key", "value")
_BLOCK_NAMES = {
    "norm_attention": "ln1",
    "norm_mlp": "ln2",
    "attention.out": "attn.proj",
    "mlp.0": "mlp.0",
    "mlp.2": "mlp.2",
}


def prior_config(
    params: Mapping[str, Any], permuted_sites: int, source: object
) -> TamingPriorConfig:
    """Bring the options of a second stage to a config.

    Args:
        params: of the ``model`` section.
        permuted_sites: length of the order that the checkpoint holds; 0 without one.
        source: where they stand, for the message.

    Returns:
        The config.

    Raises:
        ConfigError: an option is missing or cannot be met.
    """
    section = mapping_at(params, "transformer_config", source)
    kind = kind_of(section, source)
    if kind != "GPT":
        raise ConfigError(f"{source}: the transformer must be a GPT, got {kind}")
    sizes = mapping_at(section, "params", source)
    condition, options = _condition(params, source)
    start = whole_number(params, "sos_token", source, 0)
    codes = "n_embed" if condition == "coordinates" else "n_classes"
    return TamingPriorConfig(
        condition=condition,
        start_symbol=whole_number(options, "sos_token", source, start),
        condition_codes=whole_number(options, codes, source, 0),
        condition_downsampling=whole_number(options, "down_factor", source, 16),
        permuted_sites=permuted_sites,
        prior=FlatPriorConfig(
            vocabulary_size=whole_number(sizes, "vocab_size", source),
            context_length=whole_number(sizes, "block_size", source),
            layers=whole_number(sizes, "n_layer", source, 12),
            heads=whole_number(sizes, "n_head", source, 8),
            width=whole_number(sizes, "n_embd", source, 256),
            num_unmasked=whole_number(sizes, "n_unmasked", source, 0),
            embedding_dropout=number(sizes, "embd_pdrop", 0.0, source),
            attention_dropout=number(sizes, "attn_pdrop", 0.0, source),
            residual_dropout=number(sizes, "resid_pdrop", 0.0, source),
        ),
    )


def is_mask(name: str) -> bool:
    """Whether a tensor only says which position sees which: the config says so too."""
    return name.startswith("transformer.blocks.") and name.endswith(".attn.mask")


def prior_from_state(
    config: TamingPriorConfig, state: Mapping[str, Tensor], source: object
) -> TamingPrior:
    """Build a prior from taming's tensors.

    Args:
        config: the sizes.
        state: the tensors of transformer and permuter, without the masks.
        source: the file they come from, for the message.

    Returns:
        The prior, in evaluation mode.

    Raises:
        CheckpointError: a tensor is missing, unknown, of another shape than the config says, or
            the order is no permutation.
    """
    blank = blank_state(lambda: TamingPrior(config), state, source)
    names = {name: _taming_names(name) for name in blank}
    expected = [part for parts in names.values() for part in parts]
    if config.permuted_sites:
        expected.append(_ORDER_BACK)
    else:
        expected.remove(_ORDER)
        del names["order"]
    require_names(state, expected, source)
    tensors = {}
    for name, parts in names.items():
        pieces = [state[part] for part in parts]
        for part, piece, like in zip(parts, pieces, blank[name].chunk(len(parts)), strict=True):
            wanted = like.unsqueeze(0) if name == "prior.positions" else like
            require_shape(piece, wanted, part, source)
        tensors[name] = pieces[0][0] if name == "prior.positions" else torch.cat(pieces)
    if config.permuted_sites:
        _check_order(tensors["order"], state[_ORDER_BACK], source)
    prior = TamingPrior(config)
    load_weights(prior, {**prior.state_dict(), **tensors}, str(source))
    return prior.eval()


def prior_to_state(prior: TamingPrior) -> dict[str, Tensor]:
    """Give taming's tensors of a prior, masks included.

    Args:
        prior: the prior.

    Returns:
        The tensors by taming's names.
    """
    state = {}
    for name, tensor in prior.state_dict().items():
        parts = _taming_names(name)
        for part, piece in zip(parts, tensor.cpu().chunk(len(parts)), strict=True):
            state[part] = piece.unsqueeze(0) if name == "prior.positions" else piece.clone()
    if prior.config.permuted_sites:
        state[_ORDER_BACK] = state[_ORDER].argsort()
    else:
        del state[_ORDER]
    sizes = prior.config.prior
    mask = torch.ones(sizes.context_length, sizes.context_length).tril()
    mask[: sizes.num_unmasked, : sizes.num_unmasked] = 1
    for layer in range(sizes.layers):
        state[f"transformer.blocks.{layer}.attn.mask"] = mask[None, None].clone()
    return state


def _condition(params: Mapping[str, Any], source: object) -> tuple[_Condition, Mapping[str, Any]]:
    """Find what stands before the codes, and its options."""
    section = params.get("cond_stage_config")
    if section == "__is_unconditional__" or params.get("unconditional") is True:
        return "none", {}
    if section == "__is_first_stage__":
        return "first_stage", {}
    kind = kind_of(mapping_at(params, "cond_stage_config", source), source)
    if kind not in _CONDITIONS:
        raise ConfigError(f"{source}: a condition is none of {', '.join(_CONDITIONS)}: {kind}")
    options = mapping_at(params, "cond_stage_config", source).get("params")
    is_tokenizer = kind in TOKENIZER_TARGETS
    return _CONDITIONS[kind], options if isinstance(options, dict) and not is_tokenizer else {}


def _taming_names(name: str) -> list[str]:
    """Translate a name of ours; a fused tensor has several of theirs, in this order."""
    single = {
        "order": _ORDER,
        "prior.symbols.weight": "transformer.tok_emb.weight",
        "prior.positions": "transformer.pos_emb",
        "prior.transformer.norm.weight": "transformer.ln_f.weight",
        "prior.transformer.norm.bias": "transformer.ln_f.bias",
        "prior.head.weight": "transformer.head.weight",
    }
    if name in single:
        return [single[name]]
    layer, _, rest = name.removeprefix("prior.transformer.blocks.").partition(".")
    module, _, kind = rest.rpartition(".")
    start = f"transformer.blocks.{layer}"
    if module == "attention.qkv":
        return [f"{start}.attn.{part}.{kind}" for part in _PARTS]
    return [f"{start}.{_BLOCK_NAMES[module]}.{kind}"]


def _check_order(order: Tensor, back: Tensor, source: object) -> None:
    is_order = torch.equal(order.sort().values, torch.arange(len(order)))
    if not is_order or not torch.equal(order.argsort(), back):
        raise CheckpointError(f"{source} has an order of sites that is no permutation")
