"""The Fréchet distance between two sets of features, as if both were Gaussian.

It is FID only in the features of one certain Inception network. In any other features it is a
number of its own: name it after them, and compare it with numbers of the same features alone.
"""

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["frechet_distance", "require_features"]


def frechet_distance(first: Float[Tensor, "n d"], second: Float[Tensor, "m d"]) -> float:
    """Measure how far apart the means and covariances of two sets of features are.

    ``|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))``, in float64. The trace of the root is the sum of
    the roots of the eigenvalues of ``S1^(1/2) S2 S1^(1/2)``, which has those of ``S1 S2`` and is
    symmetric. The estimate is biased upwards, the more the fewer rows there are: compare only
    distances of equally many.

    Args:
        first: one row per image, at least 2 rows; more rows than columns for a full covariance.
        second: the same features of other images.

    Returns:
        The squared distance, 0 or more.

    Raises:
        ValueError: a set has fewer than two rows or holds numbers that are not finite, or the
            widths differ.

    References:
        Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
        Equilibrium", 2017, equation 6, https://arxiv.org/abs/1706.08500

    Example:
        >>> first = torch.tensor([[0.0], [2.0]])
        >>> frechet_distance(first, first + 3)
        9.0
    """
    require_features(first, second, least=2)
    first, second = first.double(), second.double()
    apart = (first.mean(dim=0) - second.mean(dim=0)).square().sum()
    # cov() drops axes of width 1.
    width = first.shape[1]
    covariances = [features.T.cov().reshape(width, width) for features in (first, second)]
    values, vectors = torch.linalg.eigh(covariances[0])
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    shared = torch.linalg.eigvalsh(root @ covariances[1] @ root).clamp(min=0).sqrt().sum()
    distance = apart + covariances[0].trace() + covariances[1].trace() - 2 * shared
    return float(distance.clamp(min=0))


def require_features(first: Tensor, second: Tensor, least: int) -> None:
    """Check two sets of features.

    Args:
        first: one row per image.
        second: the same features of other images.
        least: rows that each set must have.

    Raises:
        ValueError: a set has fewer rows or holds numbers that are not finite, or the widths
            differ.
    """
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ValueError(
            f"features must be n d and m d of one width, got {tuple(first.shape)} and "
            f"{tuple(second.shape)}"
        )
    if min(len(first), len(second)) < least:
        raise ValueError(
            f"each set needs at least {least} images, got {len(first)} and {len(second)}"
        )
    if not bool(first.isfinite().all() and second.isfinite().all()):
        raise ValueError("features must be finite: the network overflowed or has broken weights")
