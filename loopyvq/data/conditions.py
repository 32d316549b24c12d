"""Conditions: what a model may be told of an image, and where it comes from.

from the name of its folder   class
from a file beside it         segmentation, boxes, depth
from its own pixels           edges, low_resolution
from where a crop lies        coordinates
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from loopyvq.config import require_numbers
from loopyvq.data.boxes import BoxConfig, boxes_of
from loopyvq.data.coordinates import pixel_index, row_and_column
from loopyvq.data.decoding import to_float
from loopyvq.data.edges import canny_edges, sobel_edges
from loopyvq.data.label_maps import LabelMapConfig
from loopyvq.data.pairs import take_apart
from loopyvq.data.transforms import CropPlace, cut, cut_labels, resize
from loopyvq.errors import ConfigError

__all__ = ["ConditionDataConfig", "Sample", "condition_of", "sample_of"]


@dataclass(frozen=True)
class ConditionDataConfig:
    """Which condition, and where it comes from.

    Attributes:
        kind: ``none``; ``class``: the name of an image's folder; ``segmentation``: a label map;
            ``boxes``: boxes around the pieces of a label map; ``depth``: a depth map; ``edges`` and
            ``low_resolution``: made of the image itself; ``coordinates``: where the crop lies in
            the whole image.
        maps: where the maps are (segmentation, boxes, depth): any source of images, in which a map
            has the name of its image but for the suffix.
        half: the half of each picture in which its map is (segmentation, boxes, depth), if it is
            not in a file of its own.
        labels: how label maps are written (segmentation, boxes).
        boxes: which pieces get a box (boxes).
        edges: ``sobel`` or ``canny``, see `sobel_edges` and `canny_edges`.
        edge_sigma: blur before canny, in pixels.
        factor: how many times smaller along each side (low_resolution).
        enlarge: whether the small image is enlarged to the size of the large one (low_resolution).
        places: ``row_column``: two planes; ``index``: taming's one (coordinates).

    Raises:
        ConfigError: a value is outside its range, or maps are asked for and not placed.
    """

    kind: Literal[
        "none", "class", "segmentation", "boxes", "depth", "edges", "low_resolution", "coordinates"
    ] = "none"
    maps: str = ""
    half: Literal["none", "left", "right"] = "none"
    labels: LabelMapConfig = field(default_factory=LabelMapConfig)
    boxes: BoxConfig = field(default_factory=BoxConfig)
    edges: Literal["sobel", "canny"] = "sobel"
    edge_sigma: float = 2.0
    factor: int = 4
    enlarge: bool = True
    places: Literal["row_column", "index"] = "row_column"

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.has_maps and bool(self.maps) == (self.half != "none"):
            raise ConfigError(
                f"{self.kind} needs either maps, a place of files, or half, left or right: "
                f"give one of both"
            )
        if self.factor < 1:
            raise ConfigError(f"factor of low_resolution must be at least 1, got {self.factor}")
        require_numbers(self, "above 0", "edge_sigma")

    @property
    def has_maps(self) -> bool:
        """Whether every image needs a map."""
        return self.has_labels or self.kind == "depth"

    @property
    def has_labels(self) -> bool:
        """Whether that map is one of labels."""
        return self.kind in ("segmentation", "boxes")


class Sample(NamedTuple):
    """An image and what is known of it.

    Attributes:
        image: in [-1, 1].
        condition: by kind: ``none``: empty; ``class``: its number; ``segmentation``: the label of
            every pixel, ``S S``; ``boxes``: see `boxes_of`, ``n 5``; ``depth``, ``edges``: one
            plane in [-1, 1]; ``low_resolution``: an image in [-1, 1]; ``coordinates``: planes in
            [0, 1].
    """

    image: Float[Tensor, "c S S"]
    condition: Tensor


def condition_of(
    image: UInt8[Tensor, "c H W"], config: ConditionDataConfig
) -> Float[Tensor, "_ _ _"]:
    """Make a condition of an image's own pixels.

    Args:
        image: square for ``low_resolution``.
        config: ``edges`` or ``low_resolution``.

    Returns:
        Planes in [-1, 1].

    Raises:
        ValueError: the condition is of another kind.
        DataError: canny edges are asked for and scikit-image is not installed.

    Example:
        >>> image = torch.zeros(3, 64, 64, dtype=torch.uint8)
        >>> small = ConditionDataConfig(kind="low_resolution", factor=4, enlarge=False)
        >>> condition_of(image, small).shape
        torch.Size([3, 16, 16])
    """
    if config.kind == "edges":
        sobel = config.edges == "sobel"
        return sobel_edges(image) if sobel else canny_edges(image, config.edge_sigma)
    if config.kind != "low_resolution":
        raise ValueError(f"{config.kind} is not made of the image's own pixels")
    side = image.shape[1]
    small = resize(image, max(1, side // config.factor), Image.Resampling.BOX)
    return to_float(resize(small, side) if config.enlarge else small)


def sample_of(
    planes: UInt8[Tensor, "c H W"],
    place: CropPlace,
    size: int,
    config: ConditionDataConfig,
    label: int | None = None,
) -> Sample:
    """Cut a sample out of an image and what belongs to it, both in the same way.

    Args:
        planes: the image, followed by its map where the condition needs one.
        place: where to cut.
        size: side of the sample, in pixels.
        config: which condition.
        label: the image's class.

    Returns:
        The sample.

    Raises:
        ValueError: the class is asked for and not given.
    """
    image, plane = take_apart(planes) if config.has_maps else (planes, None)
    crop = cut(image, place, size)
    height, width = planes.shape[1:]
    if config.kind == "none":
        condition = torch.empty(0, dtype=torch.int64)
    elif config.kind == "class":
        if label is None:
            raise ValueError("a condition of kind class needs the class of the image")
        condition = torch.tensor(label)
    elif config.kind == "coordinates":
        counted = row_and_column if config.places == "row_column" else pixel_index
        condition = counted(height, width, place, size)
    elif plane is None:
        condition = condition_of(crop, config)
    elif config.has_labels:
        labels = cut_labels(plane, place, size)
        # Of the crop and not of the whole map: then crops and mirrors cannot disagree with them.
        condition = boxes_of(labels, config.boxes) if config.kind == "boxes" else labels.long()
    else:
        condition = to_float(cut(plane[None], place, size))
    return Sample(to_float(crop), condition)
