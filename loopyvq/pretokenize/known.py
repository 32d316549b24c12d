"""What a prior is told of images: conditions as the data gives them, brought to the grid of sites.

class ------------------------------------------> classes
coordinates ----mean of each site---------------> places
segmentation ---most frequent label of a cell---> symbols
boxes ------------------------------------------> boxes
anything else --another tokenizer, one turn-----> symbols
"""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from loopyvq.checkpoint import load_tokenizer, model_identity
from loopyvq.conditions import Condition
from loopyvq.config import require_numbers
from loopyvq.data import ConditionDataConfig, ImageSet, Sample, one_hot
from loopyvq.data.token_source import ConditionSource, TokenSource
from loopyvq.errors import ConfigError
from loopyvq.models import Tokenizer

__all__ = ["Known", "KnownConfig"]


@dataclass(frozen=True)
class KnownConfig:
    """What is known of images, and how a prior is told.

    Attributes:
        data: what it is, and where it comes from.
        tokenizer: path of a model whose codes say it, one per site of that model; needed for depth,
            edges and low_resolution, possible for segmentation (a model of label maps).
        cells: without such a model, cells per site along each side that have a label of their own.
    """

    data: ConditionDataConfig = field(default_factory=ConditionDataConfig)
    tokenizer: str = ""
    cells: int = 1

    def __post_init__(self) -> None:
        """Check that the parts belong together."""
        kind = self.data.kind
        if kind in ("depth", "edges", "low_resolution") and not self.tokenizer:
            raise ConfigError(
                f"{kind} must be told in codes: name a model that was trained on such images as "
                f"the tokenizer of the condition"
            )
        if self.tokenizer and kind in ("none", "class", "boxes", "coordinates"):
            raise ConfigError(f"{kind} is told as it is: leave out the tokenizer of the condition")
        if kind == "coordinates" and self.data.places != "row_column":
            raise ConfigError("a prior is told coordinates as row_column")
        require_numbers(self, "at least 1", "cells")


class Known:
    """Bring conditions of samples to the grid of sites.

    Args:
        config: what is known.
        downsampling: pixels per site along each side.
        tokenizer: the model that tells the condition, if there is one.
        image_channels: of the images.

    Raises:
        ConfigError: the model does not take such conditions, or a site cannot have so many cells.
    """

    def __init__(
        self,
        config: KnownConfig,
        downsampling: int,
        tokenizer: Tokenizer | None = None,
        image_channels: int = 3,
    ) -> None:
        self.config = config
        self.downsampling = downsampling
        self.tokenizer = tokenizer
        kind = config.data.kind
        if kind == "segmentation" and tokenizer is None and downsampling % config.cells:
            raise ConfigError(
                f"a site of {downsampling} pixels cannot have {config.cells} cells along each "
                f"side: choose a divisor"
            )
        if tokenizer is not None:
            labels = tokenizer.config.label_maps
            planes = {"segmentation": config.data.labels.num_labels, "depth": 1, "edges": 1}
            expected = planes.get(kind, image_channels)
            given = tokenizer.config.image_channels
            if labels != (kind == "segmentation") or given != expected:
                raise ConfigError(
                    f"the tokenizer of the condition does not take {kind}: that has {expected} "
                    f"channels, the model takes {given}{' of label maps' * labels}"
                )

    @classmethod
    def load(cls, config: KnownConfig, tokenizer: Tokenizer) -> "Known":
        """Load the model that tells the condition, if there is one.

        Args:
            config: what is known, with the path of that model.
            tokenizer: the model of the images, on whose device the other one goes.

        Returns:
            What brings the conditions of such images to their sites.

        Raises:
            CheckpointError: the model cannot be read.
            ConfigError: as of the class.
        """
        sizes, device = tokenizer.config, tokenizer.quantizer.sigma.device
        second = load_tokenizer(config.tokenizer, device) if config.tokenizer else None
        return cls(config, sizes.downsampling, second, sizes.image_channels)

    def num_classes(self, images: ImageSet) -> int:
        """Count the classes that a prior must know."""
        return len(images.class_names) if self.config.data.kind == "class" else 0

    @property
    def num_symbols(self) -> int:
        """Count the symbols of the map that a prior must know; 0 where there is none."""
        if self.tokenizer is not None:
            return self.tokenizer.quantizer.codebook_size + 1
        return self.config.data.labels.num_labels if self._kind == "segmentation" else 0

    def source(self) -> ConditionSource:
        """Say how maps are made that a prior is told; of other conditions there is nothing to say.

        Returns:
            What does not concern this kind of condition is as usual.
        """
        data, kind = self.config.data, self._kind
        if not self.num_symbols:
            return ConditionSource()
        second = "" if self.tokenizer is None else model_identity(self.tokenizer)
        made = ConditionSource(tokenizer=second, cells=self.config.cells)
        if kind == "edges":
            sigma = data.edge_sigma if data.edges == "canny" else made.edge_sigma
            return replace(made, edges=data.edges, edge_sigma=sigma)
        if kind == "low_resolution":
            return replace(made, factor=data.factor, enlarge=data.enlarge)
        return made

    def require_as_trained(self, source: TokenSource) -> None:
        """Check that maps are made as those that a prior was trained on.

        Args:
            source: of the prior.

        Raises:
            ConfigError: they are not, as far as that is known.
        """
        if source.symbols != self.num_symbols:
            raise ConfigError(
                f"the prior knows {source.symbols} symbols of {source.condition}, these maps have "
                f"{self.num_symbols}"
            )
        if source.told.cells and source.told != self.source():
            raise ConfigError(
                f"the prior was told {source.condition} that was made in another way: by another "
                f"model or with other options of the condition"
            )

    @property
    def num_box_classes(self) -> int:
        """Count the classes of boxes that a prior must know; 0 where there are none."""
        return self.config.data.labels.num_labels if self._kind == "boxes" else 0

    def __call__(self, sample: Sample) -> Condition:
        """Say what is known of a batch.

        Args:
            sample: a batch of samples, ``b`` before all axes.

        Returns:
            The same as a prior takes it.
        """
        given = sample.condition
        if self._kind == "class":
            return Condition(classes=given)
        if self._kind == "boxes":
            return Condition(boxes=given)
        if self._kind == "coordinates":
            # The last sites of a row may have fewer pixels: only those count.
            mean = F.avg_pool2d(given, self.downsampling, ceil_mode=True)
            return Condition(places=mean.permute(0, 2, 3, 1))
        if self.tokenizer is not None:
            return Condition(symbols=self._codes(given))
        if self._kind == "segmentation":
            return Condition(symbols=self._labels(given))
        return Condition()

    @property
    def _kind(self) -> str:
        return self.config.data.kind

    def _codes(self, given: Tensor) -> Int[Tensor, "b h2 w2"]:
        """Spell a condition in codes of its own model; a site without one is the last symbol."""
        if self.tokenizer is None:
            raise ValueError("there is no tokenizer of the condition")
        size = self.tokenizer.quantizer.codebook_size
        planes: Float[Tensor, "b c H W"] = given
        if self._kind == "segmentation":
            planes = one_hot(given, self.config.data.labels.num_labels)
        first = self.tokenizer.encode(planes, depth=1).codes[..., 0]
        return torch.where(first < 0, size, first)

    def _labels(self, labels: Int[Tensor, "b H W"]) -> Int[Tensor, "b h2 w2"]:
        """Give the most frequent label of every cell, of several the lowest."""
        side, sites = self.downsampling // self.config.cells, labels.shape[1:]
        padding = [-length % self.downsampling for length in sites]
        whole = F.pad(labels.float().unsqueeze(1), (0, padding[1], 0, padding[0]), mode="replicate")
        cells = F.unfold(whole, side, stride=side).long()
        shape = (len(cells), self.config.data.labels.num_labels, cells.shape[2])
        counts = torch.zeros(shape, dtype=torch.int32, device=cells.device)
        counts.scatter_add_(1, cells, torch.ones_like(cells, dtype=torch.int32))
        rows = whole.shape[2] // side
        return counts.argmax(dim=1).reshape(len(labels), rows, -1)
