"""What a person gives a prior to know of the images it shall draw: classes, maps, places."""

from pathlib import Path

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as F

from loopyvq.conditions import Condition
from loopyvq.data import ConditionedImages, Sample, open_conditioned_set
from loopyvq.data.token_source import TokenSource
from loopyvq.errors import DataError
from loopyvq.generation.converted import place_symbols
from loopyvq.generation.image_prior import ImagePrior
from loopyvq.models.taming.prior import TamingPrior
from loopyvq.pretokenize import Known, KnownConfig

__all__ = [
    "classes_in_turn",
    "lengths_of_picture",
    "maps_of_images",
    "places_of",
    "told_places",
]


def classes_in_turn(
    source: TokenSource, count: int, chosen: Int[Tensor, " n"] | None = None
) -> Condition:
    """Give every image a class, one after the other and from the start again.

    Args:
        source: knows the classes; a prior without any gets no condition.
        count: number of images.
        chosen: classes to take; by default all.

    Returns:
        The condition.
    """
    if not source.classes:
        return Condition()
    chosen = torch.arange(source.classes) if chosen is None else chosen
    return Condition(classes=chosen[torch.arange(count) % len(chosen)])


def told_places(model: ImagePrior, size: tuple[int, int], count: int) -> Condition:
    """Tell a prior of coordinates where each site lies in the image; any other one nothing.

    Args:
        model: the prior.
        size: height and width of the whole image, in pixels.
        count: number of images.

    Returns:
        The condition.
    """
    if model.source.condition != "coordinates":
        return Condition()
    factor = model.tokenizer.config.downsampling
    if isinstance(model.prior, TamingPrior):
        return Condition(symbols=place_symbols(model.prior, model.grid_of(size), factor, count))
    return Condition(places=places_of(size, factor, count))


def places_of(size: tuple[int, int], factor: int, count: int) -> Float[Tensor, "b h w 2"]:
    """Say of every site where it lies in the image.

    Args:
        size: height and width of the whole image, in pixels.
        factor: pixels per site along each side; the last site may have fewer.
        count: number of images.

    Returns:
        Row and column of the middle of each site's pixels, above 0 and below 1.

    Example:
        >>> places_of((8, 12), 8, 1).tolist()
        [[[[0.5, 0.3333333432674408], [0.5, 0.8333333134651184]]]]
    """
    borders = (torch.arange(0, side + factor, factor).clamp(max=side) for side in size)
    rows, columns = ((some[:-1] + some[1:]) / 2 / some[-1] for some in borders)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=2).repeat(count, 1, 1, 1)


def maps_of_images(
    images: str | Path,
    config: KnownConfig,
    model: ImagePrior,
    size: tuple[int, int],
    count: int,
) -> Condition:
    """Read what a prior shall know from images or from their maps.

    Args:
        images: what `loopyvq.data.open_image_set` opens; image ``i`` is given to every sample
            whose number is ``i`` modulo their number.
        config: what of them is to be known, as when the prior was trained.
        model: the prior.
        size: of the images to draw, in pixels; a square.
        count: number of images.

    Returns:
        The condition.

    Raises:
        DataError: an image or a map is missing or broken, or the size is no square.
        ConfigError: the condition cannot be told to this prior.
    """
    if size[0] != size[1]:
        raise DataError(
            f"conditions are cut from images as squares: draw squares, not {size[0]} x {size[1]}"
        )
    channels = model.tokenizer.config.image_channels
    still = ConditionedImages(
        open_conditioned_set(images, config.data, channels=channels), size[0], config.data
    )
    device = model.tokenizer.quantizer.sigma.device
    known = Known.load(config, model.tokenizer)
    known.require_as_trained(model.source)
    samples = [still[index] for index in range(min(count, len(still)))]
    stacked = Sample(*(torch.stack(items).to(device) for items in zip(*samples, strict=True)))
    return known(stacked).to("cpu").select(torch.arange(count) % len(samples))


def lengths_of_picture(
    picture: UInt8[Tensor, "1 H W"], source: TokenSource, grid: tuple[int, int], count: int
) -> Int[Tensor, "b h w"]:
    """Read from a grey picture how many tokens each site shall get.

    Args:
        picture: black for the least length, white for the largest.
        source: knows both.
        grid: sites along height and width.
        count: number of images.

    Returns:
        Lengths, the same for all images.
    """
    shares = F.interpolate(picture.float().unsqueeze(0) / 255, grid, mode="area")[0, 0]
    lengths = source.min_length + shares * (source.max_depth - source.min_length)
    return lengths.round().long().repeat(count, 1, 1)
