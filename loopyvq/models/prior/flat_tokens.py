"""A prior that writes an image as one flat sequence, symbol after symbol.

    tokens --order, spell--> symbols
    symbol before, row, column, turn, phase, condition of the site --transformer--> symbol

References:
    One sequence in a chosen order after the condition: "Taming Transformers for High-Resolution
    Image Synthesis", 2021, section 3.2, https://arxiv.org/abs/2012.09841; there every site has one
    code.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from loopyvq.conditions import Condition
from loopyvq.models.prior.attention import Transformer
from loopyvq.models.prior.base import OnSite, Request, TokenNats, require_tokens
from loopyvq.models.prior.condition_embedding import ConditionEmbedding
from loopyvq.models.prior.flat_config import FlatTokensConfig
from loopyvq.models.prior.flat_generation import FlatGeneration
from loopyvq.models.prior.flat_grammar import Grammar, Reading, Sequences
from loopyvq.models.prior.orders import site_order
from loopyvq.models.prior.places import Places
from loopyvq.models.prior.sampling import SamplingConfig
from loopyvq.tokens import Tokens

__all__ = ["FlatTokensConfig", "FlatTokensPrior"]


class FlatTokensPrior(nn.Module):
    """A distribution over tokens of any length per site, as one sequence.

    Args:
        config: what a sequence is made of.

    Example:
        >>> from loopyvq.models.prior.attention import TransformerConfig
        >>> small = TransformerConfig(width=8, layers=1, heads=2)
        >>> prior = FlatTokensPrior(
        ...     FlatTokensConfig(codebook_size=5, max_depth=3, spelling="dummy", transformer=small)
        ... )
        >>> request = Request(grid=(2, 2), batch=1)
        >>> tokens = prior.generate(request, SamplingConfig(), torch.Generator().manual_seed(0))
        >>> tokens.validate(5).codes.shape
        torch.Size([1, 2, 2, 3])
        >>> bool(prior(tokens).total.sum() > 0)
        True
    """

    def __init__(self, config: FlatTokensConfig) -> None:
        super().__init__()
        self.config = config
        self._grammar = Grammar(
            config.spelling, config.codebook_size, config.max_depth, config.min_length
        )
        width, size = config.transformer.width, self._grammar.size
        self.symbols = nn.Embedding(size + 1, width)  # the last row is the start
        self.places = Places(config.rows, config.columns, width)
        # By turn and phase: where a reader stands within a site.
        self.states = nn.Parameter(0.02 * torch.randn(len(self._grammar.legal), width))
        self.condition = ConditionEmbedding(config.condition, width)
        self.drop = nn.Dropout(config.embedding_dropout)
        self.transformer = Transformer(config.transformer)
        self.head = None if config.tied else nn.Linear(width, size, bias=False)
        for module in (self.symbols, self.head):
            if module is not None:
                nn.init.normal_(module.weight, std=0.02)

    def forward(
        self,
        tokens: Tokens,
        condition: Condition | None = None,
        dropped: Bool[Tensor, " b"] | None = None,
    ) -> TokenNats:
        """Give the likelihood of tokens; what only one symbol may follow costs nothing.

        The sequences of all images stand one after the other, so that nothing is padded.

        Args:
            tokens: sites of shape ``b h w``, none shorter than ``min_length``.
            condition: what is known of the images.
            dropped: images whose condition is withheld.

        Returns:
            Nats per site, with gradient; ``stop`` is that of each symbol's ending the site or not
            (where a spelling ends a site with its last code, or else D and STOP, the lengths that
            a site can still get may be the same for both).

        Raises:
            ValueError: the tokens are not those of such a prior, or a condition does not fit.
        """
        config = self.config
        require_tokens(tokens, config.codebook_size, config.min_length, config.max_depth)
        batch, height, width = tokens.lengths.shape
        order = site_order(self.config.order, height, width).to(tokens.codes.device)
        sequences = self.grammar.spell(
            tokens.codes.flatten(1, 2)[:, order], tokens.lengths.flatten(1)[:, order]
        )
        logits = self._read(sequences, (height, width), batch, condition or Condition(), dropped)
        code, stop = self._nats(logits.float(), sequences)
        site = sequences.image * len(order) + order[sequences.before.site]
        zeros = code.new_zeros(batch * len(order))
        per_site = (zeros.index_add(0, site, item) for item in (code, stop))
        return TokenNats(*(item.reshape(batch, height, width) for item in per_site))

    @torch.no_grad()
    def generate(
        self,
        request: Request,
        sampling: SamplingConfig,
        generator: torch.Generator,
        on_site: OnSite | None = None,
    ) -> Tokens:
        """Draw tokens, symbol by symbol; only such as spell tokens.

        Args:
            request: how many, on what grid, given what.
            sampling: how to draw.
            generator: of the CPU; gives the random numbers, all at the start, image by image.
            on_site: told of progress.

        Returns:
            Tokens with sites of shape ``b h w``; known ones as they were.

        Raises:
            ValueError: the grid is larger than the prior, or what is given does not fit.
        """
        return FlatGeneration(self, request, sampling, generator).run(on_site)

    @property
    def grammar(self) -> Grammar:
        """The rules of the spelling, on the device of the weights."""
        if self._grammar.ends.device != self.states.device:
            self._grammar.to(self.states.device)
        return self._grammar

    def placed(self, grid: tuple[int, int]) -> Float[Tensor, "n d"]:
        """Embed row and column of every site, in the order of the sequence.

        Args:
            grid: sites along height and width.

        Returns:
            One row per site.

        Raises:
            ValueError: the grid is larger than the prior.
        """
        places: Tensor = self.places(grid)
        return places[site_order(self.config.order, *grid).to(places.device)]

    def embed(
        self, previous: Int[Tensor, "..."], reading: Reading, sites: Float[Tensor, "... d"]
    ) -> Float[Tensor, "... d"]:
        """Give what the transformer reads to predict symbols.

        Args:
            previous: the symbol before each; the number of symbols where there is none.
            reading: where each stands.
            sites: place and condition of the site of each.

        Returns:
            Features.
        """
        state = self.states[self.grammar.state(reading)]
        features: Tensor = self.drop(self.symbols(previous) + state + sites)
        return features

    def logits(self, seen: Float[Tensor, "... d"]) -> Float[Tensor, "... v"]:
        """Give the logits of every symbol, legal or not.

        Args:
            seen: what the transformer gives.

        Returns:
            Logits.
        """
        weight = self.symbols.weight[:-1] if self.head is None else self.head.weight
        return functional.linear(seen, weight)

    def _read(
        self,
        sequences: Sequences,
        grid: tuple[int, int],
        batch: int,
        condition: Condition,
        dropped: Tensor | None,
    ) -> Tensor:
        """Give the logits of every symbol given those before it."""
        embedded = self.condition(condition, grid, batch, dropped)
        order = site_order(self.config.order, *grid).to(embedded.sites.device)
        about = (self.placed(grid) + embedded.sites[:, order]).flatten(0, 1)
        reading = sequences.before
        first = (reading.site == 0) & (reading.step == 0)
        previous = torch.cat([sequences.symbols[:1], sequences.symbols[:-1]])
        previous = torch.where(first, self.grammar.size, previous)
        features = self.embed(previous, reading, about[sequences.image * len(order) + reading.site])
        counts = sequences.image.bincount(minlength=batch).tolist()
        ranked = sorted(range(batch), key=counts.__getitem__)  # equal lengths are read at once
        pieces = features.split(counts)
        ahead = embedded.prefix.shape[1]
        row = torch.cat([item for i in ranked for item in (embedded.prefix[i], pieces[i])])
        segments = [ahead + counts[i] for i in ranked]
        seen = self.transformer(row.unsqueeze(0), unmasked=ahead, segments=segments)[0]
        found = [part[ahead:] for part in seen.split(segments)]
        back = sorted(range(batch), key=ranked.__getitem__)
        logits: Tensor = self.logits(torch.cat([found[i] for i in back]))
        return logits

    def _nats(self, logits: Tensor, sequences: Sequences) -> tuple[Tensor, Tensor]:
        """Give the nats of each symbol within those that end a site or do not, and of which."""
        grammar, symbols = self.grammar, sequences.symbols
        ends = grammar.ends[symbols]
        legal = grammar.legal[grammar.state(sequences.before)]
        logits = logits.masked_fill(~legal, -torch.inf)
        alike = logits.masked_fill(grammar.ends != ends.unsqueeze(1), -torch.inf).logsumexp(dim=1)
        chosen = logits.gather(1, symbols.unsqueeze(1)).squeeze(1)
        return alike - chosen, logits.logsumexp(dim=1) - alike
