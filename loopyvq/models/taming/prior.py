"""taming's second stage: a flat prior over the codes of an image, after those of a condition."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from loopyvq.conditions import Condition
from loopyvq.models.prior.base import OnSite, Request, TokenNats
from loopyvq.models.prior.flat_prior import FlatPrior
from loopyvq.models.prior.sampling import SamplingConfig
from loopyvq.models.taming.prior_config import TamingPriorConfig
from loopyvq.tokens import PAD, Tokens

__all__ = ["TamingPrior", "TamingPriorConfig"]


class TamingPrior(nn.Module):
    """Give the likelihood of an image's codes, and continue them.

        condition symbols, codes in order --FlatPrior--> logits of every code

    Args:
        config: what a sequence is made of.

    Attributes:
        num_codes: symbols that stand for codes of an image, the first ones. The vocabulary may have
            more for the condition; only a tokenizer can tell.
    """

    order: Tensor

    def __init__(self, config: TamingPriorConfig) -> None:
        super().__init__()
        self.config = config
        self.prior = FlatPrior(config.prior)
        self.num_codes = config.prior.vocabulary_size
        self.register_buffer("order", torch.arange(config.permuted_sites))

    def symbols(self, tokens: Tokens) -> Int[Tensor, "b t"]:
        """Put the codes of images into the order of the sequence.

        Args:
            tokens: one code per site, sites of shape ``b h w``.

        Returns:
            The codes as sequences.

        Raises:
            ValueError: a site has not exactly one code, or there are not ``permuted_sites`` sites.
        """
        if tokens.codes.ndim != 4 or tokens.codes.shape[3] != 1 or bool((tokens.codes < 0).any()):
            raise ValueError(
                f"sites must be b h w with one code each, got {tuple(tokens.codes.shape)}"
            )
        flat = tokens.codes.flatten(1)
        return flat[:, self.order] if self._permutes(flat.shape[1]) else flat

    def tokens(self, symbols: Int[Tensor, "b t"], grid: tuple[int, int]) -> Tokens:
        """Put sequences back onto a grid; the inverse of `symbols`.

        Args:
            symbols: one code per site.
            grid: sites along height and width.

        Returns:
            Tokens with sites of shape ``b h w``.

        Raises:
            ValueError: the number of symbols is not that of the sites.
        """
        if symbols.shape[1] != grid[0] * grid[1]:
            raise ValueError(f"{symbols.shape[1]} symbols do not fill {grid[0]} x {grid[1]} sites")
        flat = symbols[:, self.order.argsort()] if self._permutes(symbols.shape[1]) else symbols
        codes = flat.unflatten(1, grid).unsqueeze(3)
        return Tokens(codes, torch.ones_like(codes[..., 0]))

    def start(self, batch: int) -> Int[Tensor, "b 1"]:
        """Give the fixed symbol of an unconditional prior."""
        symbol = self.config.start_symbol
        return torch.full((batch, 1), symbol, device=self.order.device)

    def places(self, plane: Float[Tensor, "b 1 H W"]) -> Int[Tensor, "b t"]:
        """Turn a plane of places in [0, 1] into condition symbols.

        Args:
            plane: of every pixel its index in the larger image, divided by the number of pixels.

        Returns:
            One symbol per site.
        """
        mean = F.avg_pool2d(plane, self.config.condition_downsampling)
        return (self.config.condition_codes * mean.clamp(0, 1)).round().long().flatten(1)

    def forward(
        self,
        tokens: Tokens,
        condition: Condition | None = None,
        dropped: Bool[Tensor, " b"] | None = None,
    ) -> TokenNats:
        """Give the likelihood of tokens.

        Args:
            tokens: one code per site, sites of shape ``b h w``.
            condition: as `condition_symbols` takes it.
            dropped: must name no image: this prior cannot do without its condition.

        Returns:
            Nats per site, with gradient; none of them for stopping.

        Raises:
            ValueError: the tokens or the condition do not fit.
        """
        if dropped is not None and bool(dropped.any()):
            raise ValueError("this prior always has its condition: set its dropout to 0")
        batch, height, width = tokens.lengths.shape
        symbols = self.symbols(tokens)
        logits = self.logits(self.condition_symbols(condition, batch), symbols)
        nats = F.cross_entropy(logits.flatten(0, 1).float(), symbols.flatten(), reduction="none")
        nats = nats.reshape(batch, -1)
        if self.config.permuted_sites:
            nats = nats[:, self.order.argsort()]
        code = nats.reshape(batch, height, width)
        return TokenNats(code, torch.zeros_like(code))

    @torch.no_grad()
    def generate(
        self,
        request: Request,
        sampling: SamplingConfig,
        generator: torch.Generator,
        on_site: OnSite | None = None,
    ) -> Tokens:
        """Draw one code per site.

        Args:
            request: how many, on what grid, given what.
            sampling: how to draw.
            generator: of the CPU; gives the random numbers, all at the start, image by image.
            on_site: told of progress.

        Returns:
            Tokens with sites of shape ``b h w``; known ones as they were.

        Raises:
            ValueError: what is asked for does not fit, or is about lengths or guidance.
        """
        if (
            sampling.guidance != 1
            or sampling.length_budget is not None
            or request.painted is not None
        ):
            raise ValueError("this prior has one token per site and cannot be guided")
        canvas, mask = request.canvas(1, self.order.device)
        sites = request.grid[0] * request.grid[1]
        order = self.order if self._permutes(sites) else torch.arange(sites, device=mask.device)
        kept = mask.flatten(1)[:, order]
        known = torch.where(kept, canvas.codes.flatten(1)[:, order], -1)
        uniform = torch.rand(request.batch, sites, generator=generator, dtype=torch.float64)
        if bool(kept.all()):
            return Tokens(canvas.codes, canvas.lengths)
        first = int(kept.all(dim=0).long().cumprod(0).sum())  # known in all images: read at once
        start = self.condition_symbols(request.condition, request.batch)
        ahead = start.shape[1]

        def tell(count: int, found: Tensor) -> None:
            if on_site is not None:
                there = torch.arange(sites, device=mask.device) < count - ahead
                on_site(count - ahead, self._partly(found[:, ahead:], there | kept, request.grid))

        found = self.prior.extend(
            torch.cat([start, known[:, :first]], dim=1),
            sites - first,
            sampling,
            uniform[:, first:].to(mask.device),
            known[:, first:],
            tell,
            self.num_codes,
        )
        return self.tokens(found[:, ahead:], request.grid)

    def condition_symbols(self, condition: Condition | None, batch: int) -> Int[Tensor, "b s"]:
        """Give the symbols that stand before the codes.

        Args:
            condition: the classes for a prior of classes; a map of symbols for one of maps, of
                codes or of places (see `places`); nothing for one without condition.
            batch: number of images.

        Returns:
            At least one symbol per image.

        Raises:
            ValueError: what the prior needs is missing, or is there without need.
        """
        kind = self.config.condition
        wanted = {"none": "nothing", "class": "classes"}.get(kind, "symbols")
        given = {
            name: value
            for name, value in (condition or Condition())._asdict().items()
            if value is not None
        }
        if given.keys() - {wanted} or (wanted != "nothing" and not given):
            raise ValueError(
                f"this prior is conditioned on {wanted}, got {', '.join(given) or 'nothing'}"
            )
        if wanted == "nothing":
            return self.start(batch)
        symbols: Tensor = given[wanted].to(self.order.device)
        return symbols.reshape(batch, -1)

    def logits(
        self, condition: Int[Tensor, "b s"], symbols: Int[Tensor, "b t"]
    ) -> Float[Tensor, "b t v"]:
        """Give the logits of every symbol, given the condition and the symbols before it.

        Args:
            condition: at least one symbol.
            symbols: codes in the order of the sequence, at least one.

        Returns:
            One row of logits per symbol, that of the symbol itself, not of the next one.

        Raises:
            ValueError: a symbol is out of range, or the sequence is too long.
        """
        logits = self.prior(torch.cat([condition, symbols], dim=1)[:, :-1])
        return logits[:, condition.shape[1] - 1 :]

    def extend(
        self,
        condition: Int[Tensor, "b s"],
        symbols: Int[Tensor, "b t"],
        count: int,
        sampling: SamplingConfig | None = None,
        uniform: Float[Tensor, "b n"] | None = None,
    ) -> Int[Tensor, "b t2"]:
        """Continue sequences, one symbol after the other.

        Args:
            condition: at least one symbol.
            symbols: the codes that are there, perhaps none.
            count: how many to add, 0 or more.
            sampling: how to draw; None takes the likeliest.
            uniform: ``count`` numbers in [0, 1) per sequence, float64; needed to draw.

        Returns:
            The codes with those that were added.

        Raises:
            ValueError: a symbol is out of range, the sequence would be too long, or the numbers
                are missing.
        """
        start = torch.cat([condition, symbols], dim=1)
        return self.prior.extend(start, count, sampling, uniform)[:, condition.shape[1] :]

    def _partly(self, symbols: Tensor, there: Tensor, grid: tuple[int, int]) -> Tokens:
        """Put those symbols that are there onto a grid."""
        codes, lengths = self.tokens(torch.where(there, symbols, PAD), grid)
        return Tokens(codes, torch.where(codes[..., 0] == PAD, 0, lengths))

    def _permutes(self, sites: int) -> bool:
        """Whether the order is permuted; the number of sites must then be the configured one."""
        expected = self.config.permuted_sites
        if expected and sites != expected:
            raise ValueError(f"the order is one of {expected} sites, got {sites}")
        return expected > 0
