"""How what is known around a site is told to the network: whole numbers, and where each stands.

    facts of eight neighbours | own sum and its length | own latest codes | share of stops | phase

A site's *sum* is what its codes so far add up to.
"""

import numpy as np
from jaxtyping import Bool, Int, Int16

from loopyvq.coding.order import NUM_PHASES

__all__ = [
    "FEATURE_UNIT",
    "INSIDE",
    "KNOWN",
    "LARGEST_FEATURE",
    "LATEST",
    "MARGIN",
    "NEIGHBOURS",
    "NUM_FACTS",
    "STOPPED",
    "codes_to_add",
    "facts_of",
    "features_of",
    "num_features",
]

# One in the integers that the network sees.
FEATURE_UNIT = 64
LARGEST_FEATURE = 2048
NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
# As far away as a neighbour can be.
MARGIN = 8
# Of a site, after the width of its sum: length of it, inside, known, stopped, number of tokens.
NUM_FACTS = 5
INSIDE, KNOWN, STOPPED = 1, 2, 3
# Of its own, a site also sees its latest codes themselves, before their gains made them small.
LATEST = 2
# Sums have this many more bits than features.
_SUM_SHIFT = 12
_LARGEST_COORDINATE = 511
_CODE_SHIFT = 4
_SHARE_FEATURES = 3


def num_features(width: int) -> int:
    """Count the features of a site.

    Args:
        width: of the sums.

    Returns:
        Features: of eight neighbours, the site itself, the share that stops and the phase.
    """
    own = (1 + LATEST) * width + 1
    return len(NEIGHBOURS) * (width + NUM_FACTS) + own + _SHARE_FEATURES + NUM_PHASES


def codes_to_add(codebook: Int[np.ndarray, "k d"]) -> Int[np.ndarray, "m d"]:
    """Give what each symbol adds before its gain: behind the codes a dummy and a stop, nothing."""
    return np.vstack([codebook, np.zeros((2, codebook.shape[1]))]).astype(np.int64)


def facts_of(
    sums: Int[np.ndarray, "*n d"],
    stopped: Bool[np.ndarray, "*n"],
    num_tokens: Int[np.ndarray, "*n"] | int,
    max_depth: int,
) -> Int16[np.ndarray, "*n f"]:
    """Tell what neighbours see of sites whose symbol of this turn they know.

    Args:
        sums: what the codes so far add up to, 12 bits above a feature.
        stopped: whether the sites have stopped.
        num_tokens: how many tokens they have.
        max_depth: how many they can have.

    Returns:
        The sum, its length, and `NUM_FACTS` - 1 facts more.
    """
    width = sums.shape[-1]
    facts = np.full((*sums.shape[:-1], width + NUM_FACTS), FEATURE_UNIT, np.int16)
    vectors = np.clip(sums >> _SUM_SHIFT, -_LARGEST_COORDINATE, _LARGEST_COORDINATE)
    facts[..., :width] = vectors
    # Below 2^52 a rounded-down square root of float64 is exact.
    lengths = np.sqrt((vectors**2).sum(axis=-1).astype(np.float64)).astype(np.int64)
    facts[..., width] = lengths >> 1
    facts[..., width + STOPPED] = np.where(stopped, FEATURE_UNIT, 0)
    facts[..., -1] = FEATURE_UNIT * num_tokens // max_depth
    return facts


def features_of(
    around: Int16[np.ndarray, "n a"],
    own: Int16[np.ndarray, "n f"],
    latest: Int[np.ndarray, "n 2 d"],
    stop_share: int,
    phase: int,
) -> Int16[np.ndarray, "n g"]:
    """Put together what the network sees.

    Args:
        around: facts of the neighbours; of no width where those are told apart.
        own: the site's own facts.
        latest: what its latest codes add before their gains.
        stop_share: share of the turn's sites that stop, ``0..255``.
        phase: which pass over the grid.

    Returns:
        Features within ``-2048..2048``, see `num_features`.
    """
    codes = (latest >> _CODE_SHIFT).reshape(len(own), LATEST * latest.shape[-1]).astype(np.int16)
    common = np.zeros((len(own), _SHARE_FEATURES + NUM_PHASES), np.int16)
    common[:, :_SHARE_FEATURES] = _describe_share(stop_share)
    common[:, _SHARE_FEATURES + phase] = FEATURE_UNIT
    return np.concatenate([around, own[:, : 1 - NUM_FACTS], codes, common], axis=1)


def _describe_share(stop_share: int) -> tuple[int, int, int]:
    """Give a share, and 16 times the logarithms of it and of the rest, rounded down."""
    stops, rest = stop_share + 1, 256 - stop_share
    return stop_share // 4, (stops**16).bit_length() - 1, (rest**16).bit_length() - 1
