"""Draw more than is asked for, and keep what a classifier likes best."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from loopyvq.tokens import Tokens

__all__ = ["Jury", "best_per_class", "candidates_of", "liking"]


def candidates_of(classes: Int[Tensor, " n"], rejected: float) -> Int[Tensor, " m"]:
    """Say of which classes to draw, so that after rejection the wanted ones are left.

    Args:
        classes: class of every image that is wanted; all 0 where there are no classes.
        rejected: share of the candidates that will go, in [0, 1).

    Returns:
        The classes of the candidates; for every class at least as many as are wanted of it.

    Raises:
        ValueError: the share is out of range.

    Example:
        >>> candidates_of(torch.tensor([2, 5, 2]), 0.5).tolist()
        [2, 2, 2, 2, 5, 5]
    """
    if not 0 <= rejected < 1:
        raise ValueError(f"the rejected share must be within [0, 1), got {rejected}")
    kinds, counts = classes.unique(return_counts=True)
    # Without the rounding, 1 / (1 - 0.9) of one image would be eleven.
    needed = [math.ceil(round(int(count) / (1 - rejected), 6)) for count in counts]
    return kinds.repeat_interleave(torch.tensor(needed))


def liking(logits: Float[Tensor, "n k"], classes: Int[Tensor, " n"] | None) -> Float[Tensor, " n"]:
    """Tell how sure a classifier is of images.

    Args:
        logits: what it says of them.
        classes: what they should be; None: anything, as long as it is sure.

    Returns:
        Log-probability of the class, or of the likeliest.
    """
    chances = logits.log_softmax(dim=1)
    if classes is None:
        return chances.amax(dim=1)
    return chances.gather(1, classes.unsqueeze(1)).squeeze(1)


def best_per_class(
    scores: Float[Tensor, " m"], candidates: Int[Tensor, " m"], classes: Int[Tensor, " n"]
) -> Int[Tensor, " n"]:
    """Choose for every wanted image a candidate of its class, the best ones first.

    Args:
        scores: of the candidates; higher is better.
        candidates: their classes, as `candidates_of` gave them.
        classes: of the wanted images.

    Returns:
        The number of a candidate for each wanted image, none twice.

    Raises:
        ValueError: there are too few candidates of a class.

    Example:
        >>> scores = torch.tensor([0.1, 0.9, 0.5])
        >>> best_per_class(scores, torch.zeros(3).long(), torch.zeros(2).long()).tolist()
        [1, 2]
    """
    chosen = torch.empty_like(classes)
    for kind in classes.unique().tolist():
        wanted = (classes == kind).nonzero().flatten()
        there = (candidates == kind).nonzero().flatten()
        if len(there) < len(wanted):
            raise ValueError(
                f"{len(wanted)} images of class {kind} cannot be chosen from {len(there)}"
            )
        order = scores[there].argsort(descending=True, stable=True)
        chosen[wanted] = there[order[: len(wanted)]]
    return chosen


class Jury:
    """See candidates as they are drawn, and keep the best of every class.

    Args:
        classifier: gives the logits of images, ``n c H W`` to ``n k``.
        wanted: class of every image that is wanted, or another number of what it is told; all 0
            where there is nothing to tell. Candidates of one number compete.
        rejected: share of the candidates that will go, in [0, 1).
        by_class: whether an image must look like its class, and not only like some class.

    Raises:
        ValueError: the share is out of range.

    Attributes:
        candidates: the number of each.
        rows: for each candidate, the first wanted image of its number: what to tell it.
    """

    def __init__(
        self,
        classifier: Callable[[UInt8[Tensor, "n c H W"]], Float[Tensor, "n k"]],
        wanted: Int[Tensor, " n"],
        rejected: float,
        *,
        by_class: bool,
    ) -> None:
        self.candidates = candidates_of(wanted, rejected)
        firsts = {kind: row for row, kind in reversed(list(enumerate(wanted.tolist())))}
        self.rows = torch.tensor([firsts[kind] for kind in self.candidates.tolist()])
        self._classifier, self._wanted, self._by_class = classifier, wanted, by_class
        self._scores: list[Tensor] = []
        self._seen: list[Tokens] = []

    def see(self, tokens: Tokens, images: UInt8[Tensor, "n c H W"]) -> None:
        """Judge the next candidates.

        Args:
            tokens: of as many candidates as there are images.
            images: what they look like.
        """
        first = sum(len(scores) for scores in self._scores)
        classes = self.candidates[first : first + len(images)] if self._by_class else None
        self._scores.append(liking(self._classifier(images).cpu(), classes))
        self._seen.append(tokens)

    def best(self) -> Tokens:
        """Give the tokens of the wanted images.

        Returns:
            Sites of shape ``b h w``, in the order of the wanted classes.

        Raises:
            ValueError: not all candidates have been seen.
        """
        scores = torch.cat([torch.zeros(0), *self._scores])
        if len(scores) != len(self.candidates):
            raise ValueError(f"{len(self.candidates)} candidates were expected, got {len(scores)}")
        chosen = best_per_class(scores, self.candidates, self._wanted)
        return Tokens(*(torch.cat(items)[chosen] for items in zip(*self._seen, strict=True)))
