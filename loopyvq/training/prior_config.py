"""Everything that training a prior can be told."""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from loopyvq.config import require_numbers
from loopyvq.data import CropConfig
from loopyvq.data.token_source import TokenSource
from loopyvq.errors import ConfigError
from loopyvq.models.prior.flat_tokens import FlatTokensConfig
from loopyvq.models.prior.site_prior import SitePriorConfig
from loopyvq.pretokenize import KnownConfig
from loopyvq.training.optim import OptimConfig
from loopyvq.training.run_config import RunConfig

__all__ = ["PriorTrainingConfig", "TokensFromImages"]


@dataclass(frozen=True)
class TokensFromImages:
    """How images become tokens while a prior is trained; shards need none of this.

    Attributes:
        tokenizer: path of the model.
        threshold: stop distance; negative: the model's own.
        depth: tokens of every site, in place of a threshold; 0: by threshold.
        crop: how training crops are cut and mirrored.
        known: what the prior is told of the images.
    """

    tokenizer: str = ""
    threshold: float = -1.0
    depth: int = 0
    crop: CropConfig = field(default_factory=CropConfig)
    known: KnownConfig = field(default_factory=KnownConfig)

    def __post_init__(self) -> None:
        """Check that there is one stop rule."""
        if self.depth < 0 or (self.depth and self.threshold >= 0):
            raise ConfigError("give a threshold or a depth of 1 or more, not both")


@dataclass(frozen=True)
class PriorTrainingConfig:
    """Everything that `loopyvq train prior` can be told.

    The number of codes, the lengths, the grid and the conditions follow from the tokens; what the
    config says of them is not looked at, but for the dropout of the condition.

    Attributes:
        kind: ``site``: a transformer over sites and a small one over turns; ``flat``: one over a
            sequence of symbols.
        site: sizes of the prior, for that kind.
        flat: the same for the other one, with its spelling and its order of sites.
        images: how images become tokens, where the data are no shards.
        optim: the optimizer.
        run: steps, batches, hardware, intervals.
        start_from: a prior of the same sizes whose weights this one starts with, as `load_prior`
            reads it; fresh ones otherwise.
        validation_share: share of the images to hold out, chosen by a hash of their number.
        validation_images: most of these that are looked at.
        overfit_gap: warn when validation is this much above training, as a share.
    """

    kind: Literal["site", "flat"] = "site"
    site: SitePriorConfig = field(default_factory=SitePriorConfig)
    flat: FlatTokensConfig = field(default_factory=FlatTokensConfig)
    images: TokensFromImages = field(default_factory=TokensFromImages)
    optim: OptimConfig = field(
        default_factory=lambda: OptimConfig(
            learning_rate=1e-3, weight_decay=0.05, betas=(0.9, 0.95)
        )
    )
    run: RunConfig = field(default_factory=lambda: RunConfig(batch_size=64))
    start_from: str = ""
    validation_share: float = 0.05
    validation_images: int = 1024
    overfit_gap: float = 0.1

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_numbers(self, "within [0, 1)", "validation_share")
        require_numbers(self, "at least 1", "validation_images")
        require_numbers(self, "above 0", "overfit_gap")

    def prior_for(self, source: TokenSource) -> Any:
        """Give the config of a prior of these tokens.

        Args:
            source: where the tokens come from.

        Returns:
            The config of the chosen kind.
        """
        sizes: Any = getattr(self, self.kind)
        told = replace(
            sizes.condition,
            classes=source.classes,
            symbols=source.symbols,
            places=source.condition == "coordinates",
            box_classes=source.box_classes,
            box_bins=source.boxes.bins,
        )
        known = {
            "codebook_size": source.codebook_size,
            "max_depth": source.max_depth,
            "min_length": source.min_length,
            "rows": source.rows,
            "columns": source.columns,
            "condition": told,
        }
        names = {item.name for item in fields(sizes)}
        return replace(sizes, **{name: value for name, value in known.items() if name in names})
