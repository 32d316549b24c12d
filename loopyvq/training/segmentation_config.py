"""Everything that ``loopyvq train segmentation`` can be told."""

from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from loopyvq.config import require_numbers
from loopyvq.data import LabelMapConfig
from loopyvq.errors import ConfigError
from loopyvq.losses import ReconstructionLossConfig
from loopyvq.models import AnyTokenizerConfig, LabelTokenizerConfig, TamingConfig
from loopyvq.training.tokenizer_task import TokenizerTrainingConfig

__all__ = ["SegmentationTrainingConfig"]


@dataclass(frozen=True)
class SegmentationTrainingConfig(TokenizerTrainingConfig):
    """All options of `TokenizerTrainingConfig` but ``loss``, and those of label maps.

    Attributes:
        architecture: ``loopy`` trains ``tokenizer``; ``taming`` trains ``taming``, and ignores the
            other. How many channels go in and out is ``labels.num_labels`` for both.
        taming: taming's networks.
        labels: how the label maps are written.
        half: the half of each picture that is its label map, if not all of it is.
        label_weight: of the cross-entropy, the mean over pixels and labels; 1 in taming. A loopy
            tokenizer needs more: the mean over many labels, most of them absent, is small beside
            the terms of the latents.
        rate_per_image: if above 0, the learning rate is this times ``run.batch_size``.
    """

    architecture: Literal["loopy", "taming"] = "loopy"
    taming: TamingConfig = field(default_factory=TamingConfig)
    labels: LabelMapConfig = field(default_factory=LabelMapConfig)
    half: Literal["none", "left", "right"] = "none"
    label_weight: float = 1.0
    rate_per_image: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require_numbers(self, "a finite number of at least 0", "label_weight", "rate_per_image")
        if self.loss != ReconstructionLossConfig():
            raise ConfigError("label maps are compared label by label: leave out loss")
        if self.content != "images":
            raise ConfigError("label maps are no depth maps: leave out content")

    @property
    def networks(self) -> AnyTokenizerConfig:
        """The networks that are trained."""
        labels = self.labels.num_labels
        if self.architecture == "taming":
            return replace(self.taming, image_channels=labels, label_maps=True)
        own = {name: getattr(self.tokenizer, name) for name in asdict(self.tokenizer)}
        return LabelTokenizerConfig(**{**own, "image_channels": labels})
