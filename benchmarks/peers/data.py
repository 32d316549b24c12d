"""The vectors and the codebooks that all libraries are measured on."""

import torch
from torch import Tensor

SIZE, WIDTH, DEPTH, ROWS = 16, 8, 4, 300


def latents(rows: int = ROWS, seed: int = 0, width: int = WIDTH) -> Tensor:
    """Vectors of uneven energy."""
    generator = torch.Generator().manual_seed(seed)
    energy = torch.rand(rows, 1, generator=generator) * 1.9 + 0.1
    return torch.randn(rows, width, generator=generator) * energy


def halving(codes: Tensor, depth: int = DEPTH) -> Tensor:
    """One codebook per turn, each half as large as the one before: ``l k d``."""
    return torch.stack([codes * 0.5**turn for turn in range(depth)])


def books(depth: int = DEPTH, size: int = SIZE, width: int = WIDTH) -> Tensor:
    """Known codebooks that are the same for every library."""
    return halving(latents(size, seed=2, width=width), depth)


def near_ties(codes: Tensor, rows: int) -> Tensor:
    """Midpoints of pairs of codes that no third code is nearer to."""
    pairs = torch.combinations(torch.arange(len(codes)))
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0))
    left, right = pairs[order[: 2 * rows]].unbind(1)
    middle = ((codes[left] + codes[right]) / 2).float()
    nearest = torch.cdist(
        middle.double(), codes.double(), compute_mode="donot_use_mm_for_euclid_dist"
    ).topk(2, largest=False)
    first, second = nearest.values.unbind(1)
    return middle[second - first < 1e-6 * first][:rows]


def partial_sums(codebooks: Tensor, codes: Tensor) -> Tensor:
    """What each prefix decodes to, in float32: ``l n d``."""
    steps = [book[row] for book, row in zip(codebooks, codes.T, strict=False)]
    return torch.stack(steps).cumsum(dim=0)


def greedy(z: Tensor, codebooks: Tensor, metric: str, summed_in: torch.dtype) -> Tensor:
    """Search exhaustively in float64, with the partial sums rounded to a given precision."""
    exact, total = z.double(), torch.zeros_like(z, dtype=summed_in)
    found = []
    for book in codebooks:
        left, candidates = exact - total.double(), book.double()
        if metric == "cosine":
            left = torch.nn.functional.normalize(left, dim=1)
            candidates = torch.nn.functional.normalize(candidates, dim=1)
        distance = torch.cdist(left, candidates, compute_mode="donot_use_mm_for_euclid_dist")
        found.append(distance.argmin(dim=1))
        total = total + book[found[-1]].to(summed_in)
    return torch.stack(found, dim=1)


def squared_error(z: Tensor, z_q: Tensor) -> float:
    """Give the mean squared error in float64."""
    return float((z.double() - z_q.double()).square().mean())
