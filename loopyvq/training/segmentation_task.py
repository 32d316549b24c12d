"""What training a tokenizer of label maps means: the same as of images, with another loss."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from loopyvq.data import one_hot
from loopyvq.data.palettes import load_palette, paint_labels
from loopyvq.losses.label_maps import label_map_loss
from loopyvq.metrics.labels import count_agreement, measure_agreement
from loopyvq.models import Tokenizer
from loopyvq.ops.seeding import seed_torch
from loopyvq.training.segmentation_config import SegmentationTrainingConfig
from loopyvq.training.tokenizer_task import Losses, TokenizerTask

__all__ = ["SegmentationTask"]


class SegmentationTask(TokenizerTask):
    """Train a tokenizer to reconstruct label maps at every rate.

    Args:
        config: all options.
        tokenizer: the model to train, of label maps.
        validation: label maps held out, of any sizes.
    """

    def __init__(
        self,
        config: SegmentationTrainingConfig,
        tokenizer: Tokenizer,
        validation: Sequence[UInt8[Tensor, "1 _ _"]],
    ) -> None:
        super().__init__(config, tokenizer, validation)
        self.quality = ("accuracy_percent", "right", "%")
        self.quality_per_doubling = 0.0  # most labels are right at any rate
        self.label_weight = config.label_weight
        self.num_labels = config.labels.num_labels
        self.colours = load_palette(config.labels.palette) if config.labels.palette else ()

    def loss(
        self, model: nn.Module, images: Int[Tensor, "b H W"], generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """Reconstruct a batch under a random budget and measure the loss.

        Args:
            model: the tokenizer, perhaps wrapped for several processes.
            images: label maps.
            generator: the source of budgets and dropped cues.

        Returns:
            The loss, with gradient.
        """
        seed_torch(generator)
        maps = one_hot(images, self.num_labels)
        found = self.reconstruct(model, maps, generator)
        apart = label_map_loss(found.result.image, maps)
        total = self.label_weight * apart + found.regularisation
        self._last = (maps, found.result, Losses(total.detach(), found.rate_bits.detach()))
        return total

    def batch_of(self, pixels: UInt8[Tensor, "1 H W"]) -> Float[Tensor, "1 n H W"]:
        """Give every label of a map a channel of its own."""
        return one_hot(pixels.long(), self.num_labels)

    def judge(self, found: Float[Tensor, "b n H W"], truth: Float[Tensor, "b n H W"]) -> float:
        """Tell the share of pixels with the right label, in percent."""
        counts = count_agreement(found.argmax(dim=1), truth.argmax(dim=1), self.num_labels)
        return 100 * measure_agreement(counts).pixel_accuracy

    def show(self, found: Float[Tensor, "1 n H W"]) -> UInt8[Tensor, "3 H W"]:
        """Paint the most likely labels."""
        return paint_labels(found[0].argmax(dim=0), self.num_labels, self.colours)
