"""Precision and recall of generated images: how many look real, how much of the real is covered."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from loopyvq.metrics.frechet import require_features

__all__ = ["Nearest", "PrecisionRecall", "nearest_rows", "precision_recall"]

_DISTANCES = 1 << 23  # at once
_SPARE = 8  # candidates beyond those that are wanted, so that rounding loses none


class PrecisionRecall(NamedTuple):
    """Two shares in [0, 1].

    Attributes:
        precision: of the generated images that lie within the manifold of the real ones.
        recall: of the real images that lie within the manifold of the generated ones.
    """

    precision: float
    recall: float


class Nearest(NamedTuple):
    """The nearest rows of another set.

    Attributes:
        distance: ``n k``; Euclidean, ascending.
        index: ``n k``; rows of the other set.
    """

    distance: Float[Tensor, "n k"]
    index: Int[Tensor, "n k"]


def precision_recall(
    generated: Float[Tensor, "n d"], real: Float[Tensor, "m d"], neighbours: int = 3
) -> PrecisionRecall:
    """Compare the manifolds of two sets of features.

    The manifold of a set is the union of balls around its rows, each as wide as the distance to the
    ``neighbours``-th nearest other row. Both shares depend on the number of rows: compare only
    those of equally many.

    Args:
        generated: one row per generated image, more rows than ``neighbours``.
        real: the same features of real images.
        neighbours: at least 1.

    Returns:
        Precision and recall.

    Raises:
        ValueError: ``neighbours`` is below 1, a set has too few rows or holds numbers that are not
            finite, or the widths differ.

    References:
        Kynkaanniemi et al., "Improved Precision and Recall Metric for Assessing Generative
        Models", 2019, equations 1 and 2, https://arxiv.org/abs/1904.06991

    Example:
        >>> real = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
        >>> precision_recall(torch.tensor([[0.5], [0.6]]), real, neighbours=1)
        PrecisionRecall(precision=1.0, recall=0.0)
    """
    if neighbours < 1:
        raise ValueError(f"neighbours must be at least 1, got {neighbours}")
    require_features(generated, real, least=neighbours + 1)
    return PrecisionRecall(
        _share_inside(generated, real, neighbours), _share_inside(real, generated, neighbours)
    )


def nearest_rows(
    rows: Float[Tensor, "n d"], others: Float[Tensor, "m d"], count: int = 1, skip: int = 0
) -> Nearest:
    """Find the nearest rows of another set.

    Args:
        rows: what to find neighbours of.
        others: where to look; at least ``count + skip`` rows.
        count: how many to give, at least 1.
        skip: nearest ones to leave out: 1 where the sets are one, so that no row is its own.

    Returns:
        Distances and rows.

    Raises:
        ValueError: ``count`` or ``skip`` is out of range, or there are too few rows.
    """
    if count < 1 or skip < 0:
        raise ValueError(f"count must be at least 1 and skip 0 or more, got {count} and {skip}")
    if len(others) < count + skip:
        raise ValueError(f"{count + skip} neighbours need as many images, got {len(others)}")
    wanted = min(count + skip + _SPARE, len(others))
    middle = others.double().mean(dim=0)
    small = (others - middle).float()  # around 0, where float32 is precise
    squares = small.square().sum(dim=1)
    distances, index = [], []
    for chunk in _chunks(rows, len(others)):
        # One product finds candidates; their exact distances decide.
        scores = torch.addmm(squares, (chunk - middle).float(), small.T, alpha=-2)
        near = scores.topk(wanted, largest=False).indices
        apart = (chunk.double().unsqueeze(1) - others[near].double()).norm(dim=2)
        order = apart.argsort(dim=1, stable=True)[:, skip : skip + count]
        distances.append(apart.gather(1, order))
        index.append(near.gather(1, order))
    return Nearest(torch.cat(distances), torch.cat(index))


def _share_inside(rows: Tensor, centres: Tensor, neighbours: int) -> float:
    """Share of rows inside the manifold of the centres."""
    # The nearest row to a centre is itself.
    radii = torch.cat(
        [
            _distances(chunk, centres).kthvalue(neighbours + 1, dim=1).values
            for chunk in _chunks(centres, len(centres))
        ]
    )
    inside = [
        (_distances(chunk, centres) <= radii).any(dim=1) for chunk in _chunks(rows, len(centres))
    ]
    return float(torch.cat(inside).double().mean())


def _chunks(rows: Tensor, others: int) -> list[Tensor]:
    """Cut into parts whose distances to all others take some 64 megabytes."""
    length = max(1, _DISTANCES // others)
    return [rows[start : start + length] for start in range(0, len(rows), length)]


def _distances(rows: Tensor, others: Tensor) -> Tensor:
    # Not by a matrix product: its rounding would put equal rows apart.
    mode = "donot_use_mm_for_euclid_dist"
    return torch.cdist(rows.double(), others.double(), compute_mode=mode)
