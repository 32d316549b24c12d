"""What every prior can do: tell how unlikely tokens are, and make new ones.

tokens, condition --forward--> nats of every site, those of stopping apart
condition, what is known --generate--> tokens
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from loopyvq.conditions import Condition
from loopyvq.models.prior.sampling import SamplingConfig
from loopyvq.tokens import PAD, Tokens

__all__ = ["OnSite", "Prior", "Request", "TokenNats", "require_tokens"]

OnSite = Callable[[int, Tokens], None]
"""Called with the number of sites that are done and the tokens so far."""


class TokenNats(NamedTuple):
    """Negative log-likelihoods in nats.

    Attributes:
        code: ``b h w``; of the codes of each site.
        stop: ``b h w``; of its length: of going on at every turn but the last, and of stopping.
    """

    code: Float[Tensor, "b h w"]
    stop: Float[Tensor, "b h w"]

    @property
    def total(self) -> Float[Tensor, "b h w"]:
        """Both together."""
        return self.code + self.stop


class Request(NamedTuple):
    """What to generate.

    Attributes:
        grid: sites along height and width.
        batch: number of images.
        condition: what is known of them.
        known: tokens of which some are to be kept, sites of shape ``b h w``.
        mask: ``b h w``; which are.
        painted: ``b h w``; how many tokens each site shall get, for a prior with lengths
            "first".
    """

    grid: tuple[int, int]
    batch: int
    condition: Condition | None = None
    known: Tokens | None = None
    mask: Bool[Tensor, "b h w"] | None = None
    painted: Int[Tensor, "b h w"] | None = None

    def select(self, rows: Int[Tensor, " n"]) -> "Request":
        """Ask for other images.

        Args:
            rows: which of these; one may come twice.

        Returns:
            A request for them.
        """
        condition, known = self.condition, self.known
        return self._replace(
            batch=len(rows),
            condition=None if condition is None else condition.select(rows),
            known=None if known is None else Tokens(*(item[rows] for item in known)),
            mask=None if self.mask is None else self.mask[rows],
            painted=None if self.painted is None else self.painted[rows],
        )

    def kept(self) -> tuple[Tokens, Bool[Tensor, "b h w"]] | None:
        """Give the known tokens and which of them to keep, if there are any.

        Returns:
            Both, as they were given.

        Raises:
            ValueError: only one of them is there, or their sites are not those of the grid.
        """
        if self.known is None and self.mask is None:
            return None
        if self.known is None or self.mask is None:
            raise ValueError("known tokens and a mask that says which to keep go together")
        sites = (self.batch, *self.grid)
        if self.known.lengths.shape != sites or self.mask.shape != sites:
            raise ValueError(
                f"known tokens and mask must have sites {sites}, got "
                f"{tuple(self.known.lengths.shape)} and {tuple(self.mask.shape)}"
            )
        return self.known, self.mask

    def canvas(self, max_depth: int, device: torch.device) -> tuple[Tokens, Tensor]:
        """Give tokens to write into, and which of them are there already.

        Args:
            max_depth: largest length of a site.
            device: where to put them.

        Returns:
            Tokens of shape ``b h w``, empty where nothing is known, and the mask.

        Raises:
            ValueError: the shapes of grid, known tokens, mask and condition do not fit, or only
                one of known tokens and mask is there.
        """
        sites = (self.batch, *self.grid)
        if min(sites) < 1:
            raise ValueError(f"batch and grid must be at least 1, got {sites}")
        told = self.condition.batch if self.condition is not None else None
        if told not in (None, self.batch):
            raise ValueError(f"the condition is of {told} images, expected {self.batch}")
        codes = torch.full((*sites, max_depth), PAD, device=device)
        lengths = torch.zeros(sites, dtype=torch.int64, device=device)
        given = self.kept()
        if given is None:
            return Tokens(codes, lengths), torch.zeros(sites, dtype=torch.bool, device=device)
        kept, mask = given[0].to(device), given[1].to(device)
        if kept.max_depth != max_depth:
            raise ValueError(
                f"known tokens have depth {kept.max_depth}, this prior has {max_depth}"
            )
        codes = torch.where(mask.unsqueeze(3), kept.codes, codes)
        return Tokens(codes, torch.where(mask, kept.lengths, lengths)), mask


@runtime_checkable
class Prior(Protocol):
    """A distribution over the tokens of images."""

    def __call__(
        self,
        tokens: Tokens,
        condition: Condition | None = None,
        dropped: Bool[Tensor, " b"] | None = None,
    ) -> TokenNats:
        """Give the likelihood of tokens.

        Args:
            tokens: sites of shape ``b h w``.
            condition: what is known of the images.
            dropped: images whose condition is to be ignored, so that the prior learns to do
                without (classifier-free guidance).

        Returns:
            Nats per site, with gradient.
        """
        ...

    def generate(
        self,
        request: Request,
        sampling: SamplingConfig,
        generator: torch.Generator,
        on_site: OnSite | None = None,
    ) -> Tokens:
        """Draw tokens.

        Args:
            request: how many, on what grid, given what.
            sampling: how to draw.
            generator: gives the random numbers, all at the start, image by image.
            on_site: told of progress.

        Returns:
            Tokens with sites of shape ``b h w``; known ones as they were.
        """
        ...


def require_tokens(tokens: Tokens, codebook_size: int, min_length: int, max_depth: int) -> None:
    """Check that tokens are such as a prior was made for.

    Args:
        tokens: to be read.
        codebook_size: number of codes.
        min_length: least length of a site.
        max_depth: largest length of a site.

    Raises:
        ValueError: they are not.
    """
    lengths = tokens.lengths
    if lengths.ndim != 3 or tokens.max_depth != max_depth:
        raise ValueError(
            f"tokens must have sites b h w and depth {max_depth}, got {tuple(lengths.shape)} and "
            f"{tokens.max_depth}"
        )
    if lengths.numel() and int(lengths.min()) < min_length:
        raise ValueError(
            f"sites must have at least {min_length} tokens, one has {int(lengths.min())}"
        )
    if tokens.codes.numel() and int(tokens.codes.max()) >= codebook_size:
        raise ValueError(
            f"codes must be within 0..{codebook_size - 1}, got {int(tokens.codes.max())}"
        )
