"""From the arguments of a call to rows: which sites count, and the limits of each."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from loopyvq.quantize.residual.walk import Limits

__all__ = ["flatten_sites", "limits_of_sites"]


def flatten_sites(
    z_e: Float[Tensor, "*n d"], mask: Bool[Tensor, "*n"] | None
) -> tuple[Float[Tensor, "m d"], Bool[Tensor, " m"]]:
    """Give the latents as rows, at least float32, with zeros where they are not to be quantized.

    Args:
        z_e: the latents.
        mask: sites to quantize; by default all.

    Returns:
        The rows, and which of them count: those of the mask that are finite.

    Raises:
        ValueError: the mask is not of truth values.
    """
    if mask is not None and mask.dtype != torch.bool:
        raise ValueError(f"mask must hold truth values (torch.bool), got {mask.dtype}")
    rows = z_e.reshape(-1, z_e.shape[-1])
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    # The extremes of a row tell whether all of it is finite, without a tensor of its size.
    fixed = rows.detach()
    valid = fixed.amax(dim=1).isfinite() & fixed.amin(dim=1).isfinite()
    if mask is not None:
        valid = valid & mask.expand(z_e.shape[:-1]).reshape(-1)
    on_cpu = rows.device.type == "cpu" and not torch.compiler.is_compiling()
    if on_cpu and bool(valid.all()):
        return rows, valid
    return torch.where(valid.unsqueeze(1), rows, 0.0), valid


def limits_of_sites(
    sites: torch.Size,
    threshold: float | Tensor,
    depth: int | Tensor,
    valid: Bool[Tensor, " m"],
) -> Limits:
    """Bring the stop rule to one threshold and one depth per site; 0 turns where not valid.

    Args:
        sites: shape of the sites.
        threshold: stop distance, a number or what broadcasts to the sites.
        depth: most turns, likewise.
        valid: which sites count.

    Returns:
        The limits of every row, with the options of a turn at their defaults.

    Raises:
        ValueError: a threshold or a depth is negative or not a number, or a depth is no integer.
    """
    _require_not_negative("threshold", threshold)
    _require_not_negative("depth", depth)
    limit = torch.as_tensor(threshold, dtype=torch.float64, device=valid.device)
    most = torch.as_tensor(depth, device=valid.device)
    if most.is_floating_point() or most.is_complex():
        raise ValueError(f"depth must be a number of turns, an integer, got {depth}")
    return Limits(
        limit.expand(sites).reshape(-1),
        torch.where(valid, most.expand(sites).reshape(-1), 0),
    )


def _require_not_negative(name: str, value: float | int | Tensor) -> None:
    if not isinstance(value, Tensor):
        fine = value >= 0
    else:  # a graph that is being traced cannot look at values
        fine = torch.compiler.is_compiling() or bool((value >= 0).all())
    if not fine:
        raise ValueError(f"{name} must be 0 or more, got {value}")
