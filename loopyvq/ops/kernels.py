"""Modules of compiled kernels, where numba is installed and works."""

import importlib
import importlib.util
import warnings
from functools import cache

__all__ = ["can_import_kernels"]


@cache
def can_import_kernels(module: str) -> bool:
    """Import a module of kernels; warn where numba is installed and does not work.

    Args:
        module: its whole name.

    Returns:
        Whether it is there to be used.
    """
    if importlib.util.find_spec("numba") is None:
        return False
    try:
        importlib.import_module(module)
    except Exception as error:  # whatever a broken installation raises
        warnings.warn(
            f"numba is installed but cannot be used ({error!r}): torch works alone, with the same "
            "results, several times slower",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True
