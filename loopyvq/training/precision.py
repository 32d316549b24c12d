"""Which number format trains fastest on this machine."""

from pathlib import Path

import torch

from loopyvq.errors import ConfigError

__all__ = ["PRECISIONS", "resolve_precision"]

PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")


def resolve_precision(precision: str, accelerator: str) -> str:
    """Turn ``auto`` into what pays: bf16 where the hardware multiplies it, float32 elsewhere.

    Args:
        precision: one of `PRECISIONS`.
        accelerator: ``cpu``, ``cuda`` or ``auto``.

    Returns:
        A precision that lightning-fabric knows.

    Raises:
        ConfigError: the precision is unknown.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision}")
    if precision != "auto":
        return precision
    if accelerator != "cpu" and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
    return "bf16-mixed" if _cpu_has_bf16() else "32-true"


def _cpu_has_bf16() -> bool:
    """Ask the operating system: emulated bf16 would be slower than float32."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return False
    words = set(cpuinfo.read_text(encoding="utf-8", errors="replace").split())
    return bool(words & {"avx512_bf16", "amx_bf16"})
