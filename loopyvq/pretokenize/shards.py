"""An image set to a folder of shards; a run that was killed goes on at the next shard.

image --crop, mirror--> samples --ImageTokens--> batches --pack--> shard-00000, shard-00001, ...
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from loopyvq.conditions import Condition
from loopyvq.data import (
    BrokenImageError,
    ConditionDataConfig,
    CropConfig,
    ImageSet,
    Sample,
    sample_of,
)
from loopyvq.data.token_batch import PackedTokens
from loopyvq.data.token_shards import (
    ShardPlan,
    holds_token_shards,
    read_plan,
    read_shard,
    shard_path,
    write_plan,
    write_shard,
)
from loopyvq.data.transforms import CropPlace, centre_place, draw_place
from loopyvq.errors import ConfigError, DataError
from loopyvq.pretokenize.image_tokens import ImageTokens
from loopyvq.tokens import Tokens

__all__ = ["pretokenize", "square_side", "views_of"]

_VIEW_STREAM = 4


def pretokenize(
    images: ImageSet,
    to_tokens: ImageTokens,
    plan: ShardPlan,
    folder: str | Path,
    *,
    batch_size: int = 64,
    on_images: Callable[[int], object] | None = None,
) -> int:
    """Write the shards that are not there yet.

    Args:
        images: the image set, as `loopyvq.data.open_conditioned_set` gives it.
        to_tokens: encodes them.
        plan: how they are divided.
        folder: where to; it must hold no other shards.
        batch_size: samples that are encoded together, at least 1.
        on_images: told how many further images of the set are done.

    Returns:
        How many shards were there already.

    Raises:
        DataError: the folder holds other tokens or gets some meanwhile, or no image can be read.
        CheckpointError: a file cannot be written.
    """
    folder = Path(folder)
    if not any(True for _ in images.images()):
        raise DataError(f"none of {len(images)} images can be read")
    plan, done = _claimed(folder, plan), 0
    for shard in range(plan.num_shards):
        path, numbers = shard_path(folder, shard), plan.images_of(shard)
        if _is_whole(path, plan):
            done += 1
            if on_images:
                on_images(len(numbers))
            continue
        found = [
            _encode(to_tokens, batch)
            for batch in _batches(images, plan, to_tokens, numbers, batch_size, on_images)
        ]
        if read_plan(folder).digest != plan.digest:
            raise DataError(f"another pretokenize has begun to write to {folder} meanwhile")
        if found:
            packed = PackedTokens.join(item for item, _ in found)
            write_shard(path, plan, packed, torch.cat([rows for _, rows in found]))
        else:
            write_shard(path, plan, _nothing(plan), torch.zeros(0, dtype=torch.int64))
    return done


def square_side(images: ImageSet) -> int:
    """Tell the side of square images.

    Args:
        images: whose first readable one is looked at; one more plane, a map, does not matter.

    Returns:
        Its side, in pixels.

    Raises:
        ConfigError: it is not square: no size follows from it.
        DataError: none can be read.
    """
    for _, image in images.images():
        height, width = image.shape[1:]
        if height != width:
            raise ConfigError(
                f"the images are not square ({height} x {width} pixels): give the side to cut them "
                f"to with --size"
            )
        return int(height)
    raise DataError("no image could be read")


def views_of(
    planes: Tensor, number: int, plan: ShardPlan, condition: ConditionDataConfig, label: int | None
) -> Iterator[Sample]:
    """Cut all views of an image: the middle square, the same mirrored, then random crops.

    Args:
        planes: the image, with its map where the condition needs one.
        number: of the image within its set.
        plan: how many views of what size.
        condition: what is known of the image.
        label: its class.

    Yields:
        One sample per view, a function of the arguments alone.
    """
    middle = centre_place(planes.shape[1], planes.shape[2])
    for view in range(plan.views):
        place: CropPlace = middle._replace(mirrored=view == 1)
        if view > 1:
            crop = CropConfig(plan.size, plan.min_scale)
            words = np.random.SeedSequence([plan.seed, _VIEW_STREAM, number, view])
            generator = torch.Generator().manual_seed(int(words.generate_state(1)[0]))
            place = draw_place(planes.shape[1], planes.shape[2], crop, generator)
        yield sample_of(planes, place, plan.size, condition, label)


def _claimed(folder: Path, plan: ShardPlan) -> ShardPlan:
    """Give the plan of a folder: an equal one that is there, else the new one."""
    if holds_token_shards(folder):
        there = read_plan(folder)
        same = plan if there.images else replace(plan, images="")  # older than what names them
        if there.digest == same.digest:
            return same
        if any(True for _ in folder.glob("shard-*.safetensors")):
            raise DataError(
                f"{folder} holds tokens of another model, of other images or with other options: "
                f"choose another folder"
            )
    write_plan(folder, plan)
    return plan


def _is_whole(path: Path, plan: ShardPlan) -> bool:
    if not path.is_file():
        return False
    try:
        read_shard(path, plan)
    except DataError:
        return False  # it is made again
    return True


def _batches(
    images: ImageSet,
    plan: ShardPlan,
    to_tokens: ImageTokens,
    numbers: range,
    batch_size: int,
    on_images: Callable[[int], object] | None,
) -> Iterator[list[tuple[int, Sample]]]:
    """Read the images of a shard, leaving out the broken ones."""
    condition = to_tokens.known.config.data
    waiting: list[tuple[int, Sample]] = []
    for number in numbers:
        try:
            planes = images.read(number)
        except BrokenImageError as error:
            images.skip(error)
        else:
            views = views_of(planes, number, plan, condition, images.label(number))
            waiting += [(number, view) for view in views]
        while len(waiting) >= batch_size:
            yield waiting[:batch_size]
            waiting = waiting[batch_size:]
        if on_images:
            on_images(1)
    if waiting:
        yield waiting


def _encode(to_tokens: ImageTokens, batch: list[tuple[int, Sample]]) -> tuple[PackedTokens, Tensor]:
    device = to_tokens.tokenizer.quantizer.sigma.device
    image = torch.stack([sample.image for _, sample in batch]).to(device)
    known = torch.stack([sample.condition for _, sample in batch]).to(device)
    tokens, condition = to_tokens(Sample(image, known))
    packed = PackedTokens.pack(tokens.to("cpu"), condition.to("cpu"))
    return packed, torch.tensor([number for number, _ in batch])


def _nothing(plan: ShardPlan) -> PackedTokens:
    """Give a pack without images, for a shard of which none could be read."""
    source = plan.source
    lengths = torch.zeros(0, source.rows, source.columns, dtype=torch.int64)
    codes = torch.zeros(*lengths.shape, source.max_depth, dtype=torch.int64)
    return PackedTokens.pack(Tokens(codes, lengths), Condition())
