"""What training a prior means: nats of tokens, apart for codes and lengths."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loopyvq.checkpoint import save_prior
from loopyvq.data.token_batch import PackedTokens, TokenBatch
from loopyvq.data.token_source import TokenSource
from loopyvq.ops.seeding import seed_torch
from loopyvq.pretokenize import ImageTokens
from loopyvq.training.prior_config import PriorTrainingConfig
from loopyvq.training.task import Validation

__all__ = ["HeldOut", "Nats", "PriorTask", "nats_of"]

_logger = logging.getLogger(__name__)


class Nats(NamedTuple):
    """Negative log-likelihood of some images, in nats.

    Attributes:
        code: of all codes.
        stop: of all lengths.
        num_sites: sites.
        num_tokens: tokens.
        num_pixels: pixels.
    """

    code: float
    stop: float
    num_sites: int
    num_tokens: int
    num_pixels: int

    def plus(self, other: "Nats") -> "Nats":
        """Add those of further images."""
        code, stop = self.code + other.code, self.stop + other.stop
        counts = zip(self[2:], other[2:], strict=True)
        return Nats(code, stop, *(mine + more for mine, more in counts))

    @property
    def per_site(self) -> float:
        """Nats per site, which training minimises."""
        return (self.code + self.stop) / self.num_sites

    def values(self, prefix: str = "") -> dict[str, float]:
        """Give all measurements by name.

        Args:
            prefix: of the names.

        Returns:
            Nats per site and per token, and bits per pixel, whole and in parts.
        """
        bits = math.log(2) * self.num_pixels
        found = {
            "nats_per_site": self.per_site,
            "nats_per_token": (self.code + self.stop) / max(1, self.num_tokens),
            "rate_bpp": (self.code + self.stop) / bits,
            "code_bpp": self.code / bits,
            "stop_bpp": self.stop / bits,
        }
        return {prefix + name: value for name, value in found.items()}


class HeldOut(NamedTuple):
    """Tokens to judge a prior on.

    Attributes:
        validation: of images that it does not see.
        training: of as many that it does.
    """

    validation: PackedTokens
    training: PackedTokens


class PriorTask:
    """Train a prior to tell how likely tokens are.

    Args:
        config: all options.
        prior: the model to train.
        source: where the tokens come from.
        held_out: what it is judged on; None trains without validation.
        to_tokens: encodes batches that are images; None where they are tokens already.
    """

    def __init__(
        self,
        config: PriorTrainingConfig,
        prior: nn.Module,
        source: TokenSource,
        held_out: HeldOut | None = None,
        to_tokens: ImageTokens | None = None,
    ) -> None:
        self.config = config
        self.model: nn.Module = prior
        self.prior: Any = prior
        self.source = source
        self.held_out = held_out
        self.to_tokens = to_tokens
        self._last: tuple[Tensor, Tensor, Tensor] | None = None
        self._warned = False

    def loss(self, model: nn.Module, batch: Any, generator: torch.Generator) -> Float[Tensor, ""]:
        """Give the mean nats of a site.

        Args:
            model: the prior, perhaps wrapped for several processes.
            batch: tokens with their conditions, or samples of images.
            generator: the source of all randomness.

        Returns:
            The loss, with gradient.
        """
        seed_torch(generator)
        tokens, condition = batch if self.to_tokens is None else self._encode(batch)
        told = self.prior.config.condition
        dropped = None
        if told.can_be_dropped:
            chance = torch.rand(len(tokens.lengths), generator=generator)
            dropped = (chance < told.dropout).to(tokens.lengths.device)
        nats = model(tokens, condition, dropped)
        # Summed when it is asked for: that would make a GPU wait.
        self._last = (nats.code.detach(), nats.stop.detach(), tokens.lengths)
        total: Tensor = nats.total.mean()
        return total

    def _encode(self, batch: Any) -> TokenBatch:
        if self.to_tokens is None:
            raise TypeError("images cannot be encoded without a tokenizer")
        if self.to_tokens.tokenizer.quantizer.sigma.device != batch.image.device:
            self.to_tokens.to(batch.image.device)
        return self.to_tokens(batch)

    def networks(self) -> Sequence[nn.Module]:
        """Name the parts that may be compiled: those whose shapes do not depend on the data."""
        return ()

    def after_step(self) -> None:
        """Do nothing: the optimizer updates all there is."""

    def measure(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Measure the last batch.

        Returns:
            Values by name, and what a progress bar should show of them.
        """
        if self._last is None:
            return {}, {}
        nats = _sum(*self._last, self.source)
        values: dict[str, Any] = {"loss": nats.per_site, **nats.values()}
        values["mean_length"] = nats.num_tokens / nats.num_sites
        shown = {
            "nats/site": f"{nats.per_site:.3f}",
            "bpp": f"{values['rate_bpp']:.3f}",
            "stop": f"{values['stop_bpp'] / max(values['rate_bpp'], 1e-9):.0%}",
        }
        return values, shown

    @torch.no_grad()
    def validate(self, model: nn.Module) -> Validation | None:
        """Judge a prior on what is held out, and on as much of what it learns from.

        Args:
            model: a prior in evaluation mode.

        Returns:
            The negative nats per site as the score, and values by name; None without held-out
            images.
        """
        if self.held_out is None:
            return None
        size = self.config.run.batch_size
        unseen = nats_of(model, self.held_out.validation, self.source, size)
        seen = nats_of(model, self.held_out.training, self.source, size)
        gap = unseen.per_site / max(seen.per_site, 1e-9) - 1
        values = {**unseen.values("validation_"), **seen.values("training_"), "gap_share": gap}
        if gap > self.config.overfit_gap and not self._warned:
            self._warned = True
            _logger.warning(
                "the prior learns by heart: held-out images cost %.0f %% more than seen ones. The "
                "best model is kept; more views, dropout or fewer steps help",
                100 * gap,
            )
        return Validation(-unseen.per_site, values, None, " nats")

    def save(self, path: Path, model: nn.Module, step: int) -> None:
        """Write a prior.

        Args:
            path: where to.
            model: the prior.
            step: steps it was trained for.
        """
        save_prior(path, model, self.source, step=step)


@torch.no_grad()
def nats_of(
    prior: nn.Module,
    packed: PackedTokens,
    source: TokenSource,
    batch_size: int,
    rows: Int[Tensor, " n"] | None = None,
) -> Nats:
    """Give the negative log-likelihood of images.

    Args:
        prior: in evaluation mode.
        packed: their tokens.
        source: where these come from.
        batch_size: images at a time.
        rows: which of them; by default all.

    Returns:
        The sums over all of them.
    """
    device = next(prior.parameters()).device
    total = Nats(0.0, 0.0, 0, 0, 0)
    for some in torch.split(torch.arange(packed.num_images) if rows is None else rows, batch_size):
        tokens, condition = packed.select(some)
        tokens = tokens.to(device)
        nats = prior(tokens, condition.to(device))
        total = total.plus(_sum(nats.code, nats.stop, tokens.lengths, source))
    return total


def _sum(code: Tensor, stop: Tensor, lengths: Tensor, source: TokenSource) -> Nats:
    return Nats(
        float(code.double().sum()),
        float(stop.double().sum()),
        lengths.numel(),
        int(lengths.sum()),
        len(lengths) * source.num_pixels,
    )
