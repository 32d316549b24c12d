"""The config of diffusers' ``VQModel``: what it says about the sizes, and how to write it."""

from collections.abc import Mapping
from typing import Any

from loopyvq.errors import CheckpointError, ConfigError
from loopyvq.interop.taming_config import whole_number
from loopyvq.models.taming import TamingConfig, plain_quantizer
from loopyvq.models.taming.layers import NORM_GROUPS

__all__ = ["folder_config", "tokenizer_config"]

# Options that exist with one value only; a missing one has it.
_FIXED: dict[str, object] = {
    "_class_name": "VQModel",
    "act_fn": "silu",
    "norm_num_groups": NORM_GROUPS,
    "norm_type": "group",
    "mid_block_add_attention": True,
    "lookup_from_codebook": False,
}


def tokenizer_config(values: Mapping[str, Any], source: object) -> TamingConfig:
    """Bring the options of a ``VQModel`` to a config.

    Args:
        values: of ``config.json``.
        source: the file, for the message.

    Returns:
        The config.

    Raises:
        ConfigError: an option is missing or cannot be met.
    """
    for name, value in _FIXED.items():
        if values.get(name, value) != value:
            raise ConfigError(f"{source}: {name} can only be {value}, got {values[name]}")
    channels = values.get("block_out_channels")
    if not isinstance(channels, list) or not channels:
        raise ConfigError(f"{source}: block_out_channels must be a list of whole numbers")
    if any(type(width) is not int or width < 1 or width % channels[0] for width in channels):
        raise ConfigError(f"{source}: block_out_channels must be multiples of the first one")
    size = whole_number(values, "in_channels", source, 3)
    if whole_number(values, "out_channels", source, 3) != size:
        raise ConfigError(f"{source}: in_channels and out_channels must be equal")
    latent = whole_number(values, "latent_channels", source, 3)
    width = values.get("vq_embed_dim")
    width = latent if width is None else whole_number(values, "vq_embed_dim", source)
    down = _attention(values.get("down_block_types"), "Down", len(channels), source)
    up = _attention(values.get("up_block_types"), "Up", len(channels), source)
    if down != up[::-1]:
        raise ConfigError(f"{source}: up_block_types must mirror down_block_types")
    return TamingConfig(
        image_channels=size,
        resolution=max(whole_number(values, "sample_size", source, 32), 1),
        base_channels=channels[0],
        multipliers=tuple(wide // channels[0] for wide in channels),
        blocks=whole_number(values, "layers_per_block", source, 1),
        attention_levels=tuple(level for level, attends in enumerate(down) if attends),
        latent_channels=latent,
        quantizer=plain_quantizer(whole_number(values, "num_vq_embeddings", source, 256), width),
    )


def folder_config(config: TamingConfig, source: object) -> dict[str, Any]:
    """Write the options that make diffusers build these networks.

    Args:
        config: of a tokenizer.
        source: where it comes from, for the message.

    Returns:
        The values of ``config.json``.

    Raises:
        CheckpointError: diffusers has no such networks.
    """
    if config.multipliers[0] != 1:
        raise CheckpointError(f"{source} has a first level wider than its first convolution")
    levels = range(len(config.multipliers))
    attends = [level in config.attention_levels for level in levels]
    return {
        **_FIXED,
        "in_channels": config.image_channels,
        "out_channels": config.image_channels,
        "down_block_types": [_block_type("Down", attending) for attending in attends],
        "up_block_types": [_block_type("Up", attending) for attending in reversed(attends)],
        "block_out_channels": list(config.channels),
        "layers_per_block": config.blocks,
        "latent_channels": config.latent_channels,
        "sample_size": config.resolution,
        "num_vq_embeddings": config.quantizer.codebook_size,
        "vq_embed_dim": config.quantizer.codebook_dim,
    }


def _block_type(direction: str, attending: bool) -> str:
    kind = "Encoder" if direction == "Down" else "Decoder"
    return f"{'Attn' if attending else ''}{direction}{kind}Block2D"


def _attention(types: Any, direction: str, levels: int, source: object) -> list[bool]:
    """Tell which levels attend."""
    known = {_block_type(direction, attending): attending for attending in (False, True)}
    if (
        not isinstance(types, list)
        or len(types) != levels
        or not all(isinstance(kind, str) and kind in known for kind in types)
    ):
        raise ConfigError(
            f"{source}: {direction.lower()}_block_types must be {levels} of {', '.join(known)}"
        )
    return [known[kind] for kind in types]
