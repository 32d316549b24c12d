"""Samples of images to batches of tokens."""

import os
from pathlib import Path

import torch

from loopyvq.checkpoint import model_identity, tokenizer_file
from loopyvq.data import ImageSet, Sample
from loopyvq.data.token_batch import TokenBatch
from loopyvq.data.token_source import TokenSource
from loopyvq.errors import ConfigError
from loopyvq.models import Tokenizer
from loopyvq.pretokenize.encoding import Prices, StopRule, encode_images
from loopyvq.pretokenize.known import Known
from loopyvq.tokens import Tokens

__all__ = ["ImageTokens"]


class ImageTokens:
    """Encode images, and bring what is known of them to the same grid.

    Args:
        tokenizer: the model, in evaluation mode; with a threshold of 0 its
            least length is set.
        stop: when a site has enough tokens.
        known: what is known of the images.
        prices: the model's tables, or a prior, for rules that weigh what symbols cost.

    Raises:
        ConfigError: the model takes no images, the depth or the threshold is out of range, or the
            rule needs other prices.

    Example:
        >>> from loopyvq import TokenizerConfig
        >>> from loopyvq.pretokenize import KnownConfig
        >>> tokenizer = Tokenizer(TokenizerConfig(channels=(8, 16))).eval()
        >>> to_tokens = ImageTokens(tokenizer, StopRule(0.5, depth=4), Known(KnownConfig(), 8))
        >>> batch = to_tokens(Sample(torch.zeros(2, 3, 32, 32), torch.empty(2, 0)))
        >>> batch.tokens.codes.shape
        torch.Size([2, 4, 4, 4])
    """

    def __init__(
        self, tokenizer: Tokenizer, stop: StopRule, known: Known, prices: Prices | None = None
    ) -> None:
        quantizer, config = tokenizer.quantizer, tokenizer.config
        if config.label_maps:
            raise ConfigError("tokens for a prior need a model of images, not of label maps")
        if not 1 <= stop.depth <= quantizer.max_depth or not stop.threshold >= 0:
            raise ConfigError(
                f"depth must be within 1..{quantizer.max_depth} and threshold 0 or more, "
                f"got {stop.depth} and {stop.threshold}"
            )
        self.tokenizer = tokenizer
        self.stop = stop
        self.known = known
        stop.require(prices)
        self.prices = prices
        self.min_length = quantizer.min_length
        if stop.threshold == 0 and config.quantizer.transform == "residual":
            self.min_length = quantizer.min_length = stop.depth

    @torch.no_grad()
    def __call__(self, sample: Sample) -> TokenBatch:
        """Encode a batch of samples.

        Args:
            sample: a batch, on the device of the tokenizer.

        Returns:
            Tokens and conditions, on that device.
        """
        stop, told = self.stop, self.known(sample)
        codes, lengths = encode_images(self.tokenizer, sample.image, stop, self.prices, told)
        return TokenBatch(Tokens(codes[..., : stop.depth], lengths), told)

    def to(self, device: torch.device) -> None:
        """Move the networks to a device."""
        self.tokenizer.to(device)
        if self.known.tokenizer is not None:
            self.known.tokenizer.to(device)

    def source(
        self, images: ImageSet, size: int, tokenizer_path: str | Path, folder: str | Path
    ) -> TokenSource:
        """Describe the tokens.

        Args:
            images: what they are made of.
            size: side of the images, in pixels.
            tokenizer_path: where the model was read from.
            folder: where the description will lie.

        Returns:
            The description.
        """
        sites, condition = -(-size // self.tokenizer.config.downsampling), self.known.config
        classes = self.known.num_classes(images)
        hint = condition.tokenizer
        return TokenSource(
            tokenizer=model_identity(self.tokenizer),
            tokenizer_path=path_hint(tokenizer_path, folder),
            codebook_size=self.tokenizer.quantizer.codebook_size,
            max_depth=self.stop.depth,
            min_length=self.min_length,
            rows=sites,
            columns=sites,
            height=size,
            width=size,
            threshold=self.stop.threshold,
            stop=self.stop.rule,
            weigh=self.stop.weigh,
            tune=self.stop.tune,
            effort=self.stop.effort,
            priced_by=model_identity(self.prices) if self.stop.rule == "prior" else "",
            condition=condition.data.kind,
            classes=classes,
            class_names=tuple(images.class_names) if classes else (),
            symbols=self.known.num_symbols,
            condition_path=path_hint(hint, folder) if hint else "",
            told=self.known.source(),
            box_classes=self.known.num_box_classes,
            boxes=condition.data.boxes,
        )


def path_hint(path: str | Path, folder: str | Path) -> str:
    """Say where a model's file is, seen from a folder, so that both may move together."""
    file = tokenizer_file(path).resolve()
    try:
        return Path(os.path.relpath(file, Path(folder).resolve())).as_posix()
    except ValueError:  # another drive
        return file.as_posix()
