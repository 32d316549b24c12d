"""Label maps: one label per pixel, written as grey values, places in a palette, or colours."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Integer, UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from loopyvq.data.palettes import load_palette, nearest_colour
from loopyvq.data.pixel_modes import to_grey_or_rgb
from loopyvq.errors import ConfigError

__all__ = ["LabelMapConfig", "LabelReader", "one_hot"]


@dataclass(frozen=True)
class LabelMapConfig:
    """How label maps are written in files.

    Attributes:
        num_labels: how many labels there are, 1 to 256.
        palette: empty where the value of a pixel is its label; else the colours of the labels, see
            `load_palette`.
        shift: added to every label, modulo 256: 1 makes a label 0 of what 255 ("unlabelled")
            marks, as taming does for COCO and S-FLCKR.

    Raises:
        ConfigError: a value is outside its range.
    """

    num_labels: int = 151
    palette: str = ""
    shift: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 1 <= self.num_labels <= 256:
            raise ConfigError(f"num_labels must be within 1..256, got {self.num_labels}")
        if not 0 <= self.shift <= 255:
            raise ConfigError(f"shift of labels must be within 0..255, got {self.shift}")


class LabelReader:
    """Read the labels of a loaded picture.

    Args:
        config: how they are written.

    Raises:
        ConfigError: the palette cannot be read, or has not ``num_labels`` colours.

    Example:
        >>> read = LabelReader(LabelMapConfig(num_labels=3, shift=1))
        >>> read(Image.fromarray(np.array([[0, 1, 255]], dtype=np.uint8)))
        array([[1, 2, 0]], dtype=uint8)
    """

    def __init__(self, config: LabelMapConfig) -> None:
        self.config = config
        self.colours = load_palette(config.palette) if config.palette else ()
        if config.palette and len(self.colours) != config.num_labels:
            raise ConfigError(
                f"the palette {config.palette} has {len(self.colours)} colours for "
                f"{config.num_labels} labels: set num_labels to {len(self.colours)}"
            )

    def __call__(self, image: Image.Image) -> UInt8[np.ndarray, "H W"]:
        """Give the label of every pixel.

        Args:
            image: a loaded picture.

        Returns:
            The labels.

        Raises:
            ValueError: it is no label map, or holds a label that is not below ``num_labels``.
        """
        if self.colours:
            pixels = np.asarray(to_grey_or_rgb(image, 3)).transpose(2, 0, 1).copy()
            labels = nearest_colour(torch.from_numpy(pixels), self.colours)[0].numpy()
        else:
            labels = _values(image)
        labels = labels + np.uint8(self.config.shift)
        largest = int(labels.max())
        if largest >= self.config.num_labels:
            raise ValueError(
                f"it holds the label {largest}, but there are {self.config.num_labels} labels: "
                f"raise num_labels, or set shift"
            )
        return labels


def _values(image: Image.Image) -> np.ndarray:
    if image.mode not in ("L", "P", "1") and not image.mode.startswith("I"):
        raise ValueError(
            f"it is painted in colours (mode {image.mode}), and labels are grey values: "
            f"name the colours with palette"
        )
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 255:
        raise ValueError(f"it holds labels from {values.min()} to {values.max()}, not 0 to 255")
    return values.astype(np.uint8)


def one_hot(labels: Integer[Tensor, "b H W"], num_labels: int) -> Float[Tensor, "b n H W"]:
    """Give every label a channel of its own.

    Args:
        labels: each below ``num_labels``.
        num_labels: channels of the result.

    Returns:
        1 in the channel of a pixel's label, 0 in the others.

    Example:
        >>> one_hot(torch.tensor([[[2, 0]]]), 3)[0, :, 0].tolist()
        [[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]]
    """
    return F.one_hot(labels.long(), num_labels).permute(0, 3, 1, 2).float()
