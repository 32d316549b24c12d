"""taming's YAML files: what they say about the sizes, and how to write them."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loopyvq.config import read_yaml
from loopyvq.errors import ConfigError
from loopyvq.models.taming import TamingConfig, plain_quantizer
from loopyvq.quantize.gumbel import GumbelConfig

__all__ = [
    "TOKENIZER_TARGETS",
    "kind_of",
    "mapping_at",
    "model_section",
    "number",
    "read_model_section",
    "tokenizer_config",
    "whole_number",
]

TOKENIZER_TARGETS = (
    "VQModel",
    "VQModelInterface",
    "VQNoDiscModel",
    "VQSegmentationModel",
    "GumbelVQ",
)
"""Classes whose checkpoints are tokenizers; a config names them with a module path before."""

# Options of the networks that exist with one value only.
_FIXED: dict[str, object] = {
    "double_z": False,
    "resamp_with_conv": True,
    "attn_type": "vanilla",
    "use_linear_attn": False,
    "give_pre_end": False,
}
_SIZES = ("z_channels", "resolution", "in_channels", "out_ch", "ch", "num_res_blocks")
_LISTS = ("ch_mult", "attn_resolutions")


def read_model_section(path: str | Path) -> dict[str, Any]:
    """Read the ``model`` section of a YAML file, without the paths of its author's machine.

    Args:
        path: the file.

    Returns:
        The section, with ``target`` and ``params``.

    Raises:
        ConfigError: the file cannot be read or has no such section.
    """
    section = mapping_at(read_yaml(path), "model", path)
    kind_of(section, path)
    mapping_at(section, "params", path)
    return {str(name): _without_local_paths(value) for name, value in section.items()}


def kind_of(section: Mapping[str, Any], source: object) -> str:
    """Give the name of a section's class, without its module.

    Args:
        section: with ``target``.
        source: where it stands, for the message.

    Returns:
        Such as ``VQModel``.

    Raises:
        ConfigError: there is no target.
    """
    target = section.get("target")
    if not isinstance(target, str):
        raise ConfigError(f"{source} names no target of its model")
    return target.rpartition(".")[2]


def tokenizer_config(section: Mapping[str, Any], source: object) -> TamingConfig:
    """Bring the options of a first stage to a config.

    Args:
        section: with ``target`` and ``params``.
        source: where it stands, for the message.

    Returns:
        The config.

    Raises:
        ConfigError: an option is missing, unknown or cannot be met.
    """
    kind = kind_of(section, source)
    if kind not in TOKENIZER_TARGETS:
        raise ConfigError(f"{source}: {kind} is none of {', '.join(TOKENIZER_TARGETS)}")
    params = mapping_at(section, "params", source)
    sizes = mapping_at(params, "ddconfig", source)
    for name, value in sizes.items():
        if name in _FIXED and value != _FIXED[name]:
            raise ConfigError(f"{source}: {name} can only be {_FIXED[name]}, got {value}")
        if name not in (*_FIXED, *_SIZES, *_LISTS, "dropout"):
            raise ConfigError(f"{source}: the networks have no option {name}")
    size = {name: whole_number(sizes, name, source) for name in _SIZES}
    if size["in_channels"] != size["out_ch"]:
        raise ConfigError(f"{source}: in_channels {size['in_channels']} and out_ch must be equal")
    multipliers = tuple(_whole_numbers(sizes, "ch_mult", source))
    codes = whole_number(params, "n_embed", source)
    width = whole_number(params, "embed_dim", source)
    is_gumbel = kind == "GumbelVQ"
    if is_gumbel and width != size["z_channels"]:
        raise ConfigError(f"{source}: embed_dim and z_channels of a GumbelVQ must be equal")
    return TamingConfig(
        image_channels=size["in_channels"],
        label_maps=kind == "VQSegmentationModel",
        resolution=size["resolution"],
        base_channels=size["ch"],
        multipliers=multipliers,
        blocks=size["num_res_blocks"],
        attention_levels=_attention_levels(
            size["resolution"],
            len(multipliers),
            _whole_numbers(sizes, "attn_resolutions", source),
            source,
        ),
        latent_channels=size["z_channels"],
        dropout=number(sizes, "dropout", 0.0, source),
        assignment="gumbel" if is_gumbel else "nearest",
        quantizer=plain_quantizer(codes, width),
        gumbel=_gumbel(params, source) if is_gumbel else GumbelConfig(),
    )


def model_section(config: TamingConfig) -> dict[str, Any]:
    """Write the ``model`` section that makes taming build these networks.

    Args:
        config: of a tokenizer.

    Returns:
        ``target`` and ``params``; the loss is left out, as for inference.
    """
    kind = "VQSegmentationModel" if config.label_maps else "VQModel"
    params: dict[str, Any] = {
        "embed_dim": config.quantizer.codebook_dim,
        "n_embed": config.quantizer.codebook_size,
        "ddconfig": {
            "double_z": False,
            "z_channels": config.latent_channels,
            "resolution": config.resolution,
            "in_channels": config.image_channels,
            "out_ch": config.image_channels,
            "ch": config.base_channels,
            "ch_mult": list(config.multipliers),
            "num_res_blocks": config.blocks,
            "attn_resolutions": [config.resolution >> level for level in config.attention_levels],
            "dropout": config.dropout,
        },
        "lossconfig": {"target": "taming.modules.losses.DummyLoss"},
    }
    if config.label_maps:
        params["n_labels"] = config.image_channels
    if config.assignment == "gumbel":
        kind = "GumbelVQ"
        params["kl_weight"] = config.gumbel.kl_weight
        params["temperature_scheduler_config"] = {
            "target": "taming.lr_scheduler.LambdaWarmUpCosineScheduler",
            "params": _schedule_of(config.gumbel),
        }
    return {"target": f"taming.models.vqgan.{kind}", "params": params}


def mapping_at(values: Mapping[str, Any], name: str, source: object) -> dict[str, Any]:
    """Give a nested mapping, or say that it is missing.

    Args:
        values: the outer mapping.
        name: the key.
        source: where it stands, for the message.

    Returns:
        The inner mapping.

    Raises:
        ConfigError: it is not there or no mapping.
    """
    found = values.get(name)
    if not isinstance(found, dict):
        raise ConfigError(f"{source} has no section {name}")
    return found


def whole_number(
    values: Mapping[str, Any], name: str, source: object, default: int | None = None
) -> int:
    """Give a whole number of a mapping.

    Args:
        values: the mapping.
        name: the key.
        source: where it stands, for the message.
        default: what a missing number is; None if it must be there.

    Returns:
        The number.

    Raises:
        ConfigError: it is missing or no whole number.
    """
    found = values.get(name, default)
    if not isinstance(found, int) or isinstance(found, bool):
        raise ConfigError(f"{source}: {name} must be a whole number, got {found}")
    return found


def _whole_numbers(values: Mapping[str, Any], name: str, source: object) -> list[int]:
    found = values.get(name)
    if not isinstance(found, list) or not all(type(entry) is int for entry in found):
        raise ConfigError(f"{source}: {name} must be a list of whole numbers, got {found}")
    return found


def number(values: Mapping[str, Any], name: str, default: float, source: object) -> float:
    """Give a number of a mapping.

    Args:
        values: the mapping.
        name: the key.
        default: what a missing number is.
        source: where it stands, for the message.

    Returns:
        The number.

    Raises:
        ConfigError: it is no number, or not finite.
    """
    try:
        found = float(values.get(name, default))  # YAML reads 1e-8 as a text
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"{source}: {name} must be a number, got {values[name]}") from error
    if not math.isfinite(found):
        raise ConfigError(f"{source}: {name} must be finite, got {found}")
    return found


def _gumbel(params: Mapping[str, Any], source: object) -> GumbelConfig:
    """Read the options of the draw; without a schedule the temperature stays at 1."""
    kl_weight = number(params, "kl_weight", 1e-8, source)
    section = params.get("temperature_scheduler_config")
    if not isinstance(section, dict):
        return GumbelConfig(kl_weight=kl_weight)
    schedule = mapping_at(section, "params", source)
    highest = number(schedule, "lr_max", 1.0, source)
    lowest = number(schedule, "lr_min", highest, source)
    warmup = int(number(schedule, "warm_up_steps", 0.0, source))
    options: dict[str, Any] = {"temperature": highest, "kl_weight": kl_weight}
    if lowest != highest:
        options["final_temperature"] = lowest
        options["decay_steps"] = int(number(schedule, "max_decay_steps", 0.0, source))
    if warmup:
        options["warmup_steps"] = warmup
        options["first_temperature"] = number(schedule, "lr_start", highest, source)
    return GumbelConfig(**options)


def _schedule_of(gumbel: GumbelConfig) -> dict[str, Any]:
    """Write the temperature as taming's schedule, whose decay must have an end."""
    falls = gumbel.decay_steps > 0
    return {
        "warm_up_steps": gumbel.warmup_steps,
        "max_decay_steps": gumbel.decay_steps if falls else gumbel.warmup_steps + 1,
        "lr_start": gumbel.first_temperature if gumbel.warmup_steps else gumbel.temperature,
        "lr_max": gumbel.temperature,
        "lr_min": gumbel.final_temperature if falls else gumbel.temperature,
    }


def _attention_levels(
    resolution: int, levels: int, resolutions: list[int], source: object
) -> tuple[int, ...]:
    """Find the levels that reach the resolutions with attention."""
    if resolution % 2 ** (levels - 1):
        raise ConfigError(
            f"{source}: resolution {resolution} must be a multiple of {2 ** (levels - 1)}"
        )
    return tuple(level for level in range(levels) if resolution >> level in resolutions)


def _without_local_paths(values: Any) -> Any:
    """Drop the paths of weights, and turn what JSON cannot hold into text."""
    if isinstance(values, dict):
        kept = {str(name): value for name, value in values.items() if name != "ckpt_path"}
        return {name: _without_local_paths(value) for name, value in kept.items()}
    if isinstance(values, list):
        return [_without_local_paths(value) for value in values]
    return values if isinstance(values, str | int | float | bool | None) else str(values)
