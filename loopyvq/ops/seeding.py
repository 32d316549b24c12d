"""Random numbers that are a function of what they are for, so that a run can go on anywhere."""

import numpy as np
import torch

__all__ = ["generator_of", "seed_torch"]


def generator_of(*numbers: int) -> torch.Generator:
    """Make a generator that belongs to some numbers alone.

    Args:
        numbers: such as a seed, a stream and a step; each at least 0.

    Returns:
        A generator on the CPU; neighbouring numbers give unrelated ones.

    Example:
        >>> generator_of(0, 1).initial_seed() == generator_of(1, 0).initial_seed()
        False

    References:
        The algorithm of `numpy.random.SeedSequence` is frozen by NEP 19.
    """
    words = np.random.SeedSequence(numbers).generate_state(2)
    return torch.Generator().manual_seed(int(words[0]) | int(words[1]) << 32)


def seed_torch(generator: torch.Generator) -> None:
    """Make dropout and Gumbel noise, which draw from torch's own generators, a function of another.

    Args:
        generator: one number is drawn from it.
    """
    torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
