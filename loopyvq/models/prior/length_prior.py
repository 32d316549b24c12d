"""Lengths before codes: how many tokens each site of an image will get."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from loopyvq.conditions import Condition
from loopyvq.models.prior.attention import TransformerConfig
from loopyvq.models.prior.condition_embedding import ConditionConfig
from loopyvq.models.prior.length_budget import LengthBudgets
from loopyvq.models.prior.sampling import SamplingConfig, draw, guide
from loopyvq.models.prior.site_context import SiteContext, SiteReader

__all__ = ["LengthPrior"]


class LengthPrior(nn.Module):
    """Give the likelihood of a map of lengths, and draw one.

        lengths of the sites before --SiteContext--> length of the next

    Args:
        min_length: least length.
        max_depth: largest length.
        transformer: sizes.
        condition: what is known of an image.
        rows: most sites along the height.
        columns: most sites along the width.
    """

    def __init__(
        self,
        min_length: int,
        max_depth: int,
        transformer: TransformerConfig,
        condition: ConditionConfig,
        rows: int,
        columns: int,
    ) -> None:
        super().__init__()
        self.min_length = min_length
        self.context = SiteContext(transformer, condition, rows, columns)
        self.lengths = nn.Embedding(max_depth + 1, transformer.width)
        self.head = nn.Linear(transformer.width, max_depth + 1)
        for module in (self.lengths, self.head):
            nn.init.normal_(module.weight, std=0.02)

    def forward(
        self,
        lengths: Int[Tensor, "b h w"],
        condition: Condition,
        dropped: Bool[Tensor, " b"] | None = None,
    ) -> Float[Tensor, "b h w"]:
        """Give the likelihood of lengths.

        Args:
            lengths: within ``min_length..max_depth``.
            condition: what is known of the images.
            dropped: images whose condition is withheld.

        Returns:
            Nats per site, float32, with gradient.
        """
        context = self.context(self.lengths(lengths), condition, dropped)
        logits = self._legal(self.head(context).float())
        nats = F.cross_entropy(logits.transpose(1, 2), lengths.flatten(1), reduction="none")
        return nats.reshape(lengths.shape)

    @torch.no_grad()
    def start_from(self, counts: Int[Tensor, "l v"]) -> None:
        """Begin with how often each length comes.

        Args:
            counts: how often each code, CONTINUE and STOP come at each turn.
        """
        longest = counts[-1, :-1].sum().unsqueeze(0)
        seen = torch.cat([counts[:, -1], longest]).double() + 0.5
        self.head.bias.copy_((seen / seen.sum()).log())

    def generate(
        self,
        lengths: Int[Tensor, "b h w"],
        mask: Bool[Tensor, "b h w"],
        condition: Condition,
        sampling: SamplingConfig,
        uniform: Float[Tensor, "b n"],
    ) -> Int[Tensor, "b h w"]:
        """Draw the lengths that are not known.

        Args:
            lengths: those that are known.
            mask: which are.
            condition: what is known of the images.
            sampling: how to draw; temperatures are those of stopping; a budget is kept about.
            uniform: one number in [0, 1) for each image and site.

        Returns:
            Lengths of every site.
        """
        batch, height, width = lengths.shape
        guided = sampling.guidance != 1
        reader = SiteReader.for_drawing(
            self.context, batch, (height, width), condition, guided=guided
        )
        of_lengths = sampling.of_stopping()
        flat, known = lengths.flatten(1).clone(), mask.flatten(1)
        content = self.lengths.weight.new_zeros(batch, 0, self.lengths.embedding_dim)
        budgets = LengthBudgets(sampling.length_budget, batch, height * width)
        rows = torch.arange(batch, device=flat.device)
        turns = torch.arange(self.head.out_features, device=flat.device)
        for site in range(height * width):
            seen = reader.read(content.repeat(1 + guided, 1, 1))[:, -1]
            logits = self.head(seen).float()
            if guided:
                told, untold = logits.chunk(2)
                logits = guide(told, untold, sampling.guidance)
            if budgets:  # of going on, once for every turn
                logits = logits + budgets.eagerness(rows).unsqueeze(1) * turns
            drawn = draw(self._legal(logits), of_lengths, uniform[:, site])
            flat[:, site] = torch.where(known[:, site], flat[:, site], drawn)
            budgets.spend(flat[:, site : site + 1])
            content = self.lengths(flat[:, site : site + 1])
        return flat.reshape(lengths.shape)

    def _legal(self, logits: Float[Tensor, "... v"]) -> Float[Tensor, "... v"]:
        """Leave out lengths that are too short."""
        illegal = torch.arange(logits.shape[-1], device=logits.device) < self.min_length
        return logits.masked_fill(illegal, -torch.inf)
