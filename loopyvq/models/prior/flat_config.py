"""What the flat prior is made of."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from loopyvq.config import require_numbers
from loopyvq.errors import ConfigError
from loopyvq.models.prior.attention import TransformerConfig
from loopyvq.models.prior.condition_embedding import ConditionConfig
from loopyvq.tokens import LARGEST_DEPTH

__all__ = ["FlatTokensConfig"]

_Spelling = Literal["flat", "dummy", "run_length"]
_Order = Literal["raster", "z_curve", "spiral_out", "spiral_in", "subsample", "random", "alternate"]


@dataclass(frozen=True)
class FlatTokensConfig:
    """What a sequence is made of and how large the transformer is.

    Attributes:
        codebook_size: number of codes.
        max_depth: largest length of a site, 255 at most.
        min_length: least length of a site.
        spelling: how tokens are written.
        order: in which sites are read.
        rows: most sites along the height.
        columns: most sites along the width.
        tied: whether symbols are read and predicted by the same weights.
        embedding_dropout: share of the embeddings dropped while training.
        transformer: its sizes.
        condition: what is known of an image.
    """

    codebook_size: int = 512
    max_depth: int = 8
    min_length: int = 0
    spelling: _Spelling = "flat"
    order: _Order = "raster"
    rows: int = 16
    columns: int = 16
    tied: bool = False
    embedding_dropout: float = 0.0
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    condition: ConditionConfig = field(default_factory=ConditionConfig)

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_numbers(self, "at least 1", "codebook_size", "max_depth", "rows", "columns")
        if self.max_depth > LARGEST_DEPTH:
            raise ConfigError(f"max_depth must be {LARGEST_DEPTH} at most, got {self.max_depth}")
        if not 0 <= self.min_length <= self.max_depth:
            raise ConfigError(
                f"min_length must be within 0..{self.max_depth}, got {self.min_length}"
            )
        require_numbers(self, "within [0, 1)", "embedding_dropout")
        for name, known in (("spelling", _Spelling), ("order", _Order)):
            if getattr(self, name) not in get_args(known):
                raise ConfigError(
                    f"{name} must be one of {', '.join(get_args(known))}, got {getattr(self, name)}"
                )
