"""Shards: the tokens of a whole image set on disk, made once.

folder/tokens.json                what they are, how they were made, how many shards there are
folder/shard-00000.safetensors    some thousand images, packed: codes, lengths, conditions
"""

import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from loopyvq.conditions import Condition
from loopyvq.config import config_to_dict, parse_config, require_numbers
from loopyvq.data.token_batch import PackedTokens
from loopyvq.data.token_source import ConditionSource, TokenSource
from loopyvq.errors import ConfigError, DataError
from loopyvq.tensor_file import read_tensors, write_atomically, write_tensors
from loopyvq.tokens import CONTINUE

__all__ = [
    "ShardPlan",
    "TokenShards",
    "holds_token_shards",
    "open_token_shards",
    "read_plan",
    "read_shard",
    "shard_path",
    "write_plan",
    "write_shard",
]

_KIND = "token shard"
_PLAN = "tokens.json"


@dataclass(frozen=True)
class ShardPlan:
    """How an image set is divided into shards, and what is in them.

    Attributes:
        source: where the tokens come from.
        data: the image set, as it was named.
        num_images: images of the set, broken ones included.
        views: times that each image is there: as it is, mirrored, then random crops.
        size: side of the square that is cut of every image, in pixels; 0: images as they are.
        min_scale: strongest shrinking of the random crops.
        seed: of the random crops.
        images_per_shard: images of the set in one shard, each with all of its views.
        images: what the set is, see `fingerprint_of`; empty in files that are older than it.
    """

    source: TokenSource = field(default_factory=TokenSource)
    data: str = ""
    num_images: int = 1
    views: int = 1
    size: int = 0
    min_scale: float = 1.0
    seed: int = 0
    images_per_shard: int = 4096
    images: str = ""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_numbers(self, "at least 1", "num_images", "views", "images_per_shard")
        require_numbers(self, "0 or more", "size", "seed")
        if not 0 < self.min_scale <= 1:
            raise ConfigError(f"min_scale must be above 0 up to 1, got {self.min_scale}")

    @property
    def num_shards(self) -> int:
        """How many shards there will be."""
        return math.ceil(self.num_images / self.images_per_shard)

    def images_of(self, shard: int) -> range:
        """Tell which images of the set a shard holds."""
        first = shard * self.images_per_shard
        return range(first, min(first + self.images_per_shard, self.num_images))

    @property
    def digest(self) -> str:
        """Name the plan by its content, wherever the tokenizer and the images may lie."""
        values = config_to_dict(self)
        values.pop("data")
        for hint in ("tokenizer_path", "condition_path"):
            values["source"].pop(hint)
        if not self.source.box_classes:  # so shards that are older than boxes keep their name
            for name in ("box_classes", "boxes"):
                values["source"].pop(name)
        if not self.images:
            values.pop("images")
        if self.source.told == ConditionSource():
            values["source"].pop("told")
        usual = {"stop": "threshold", "weigh": 0.0, "tune": "psnr", "effort": 0, "priced_by": ""}
        for name, value in usual.items():  # those that are older still
            if values["source"][name] == value:
                values["source"].pop(name)
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class TokenShards:
    """The tokens of an image set, in memory.

    Args:
        plan: how they were made.
        packed: the tokens.
        numbers: for every row, the number of its image within the set.
    """

    def __init__(self, plan: ShardPlan, packed: PackedTokens, numbers: Int[Tensor, " n"]) -> None:
        self.plan = plan
        self.source = plan.source
        self.packed = packed
        self.numbers = numbers

    def __len__(self) -> int:
        return self.packed.num_images


def shard_path(folder: str | Path, shard: int) -> Path:
    """Name the file of a shard."""
    return Path(folder) / f"shard-{shard:05d}.safetensors"


def holds_token_shards(folder: str | Path) -> bool:
    """Tell whether a folder has a plan of shards."""
    return (Path(folder) / _PLAN).is_file()


def write_plan(folder: str | Path, plan: ShardPlan) -> None:
    """Write the plan of a folder of shards.

    Args:
        folder: is made.
        plan: what will be in it.

    Raises:
        CheckpointError: the file cannot be written.
    """
    text = json.dumps(config_to_dict(plan), indent=2) + "\n"
    write_atomically(Path(folder) / _PLAN, text.encode())


def read_plan(folder: str | Path) -> ShardPlan:
    """Read the plan of a folder of shards.

    Args:
        folder: the folder.

    Returns:
        The plan.

    Raises:
        DataError: there is none, or it is damaged.
    """
    path = Path(folder) / _PLAN
    try:
        return parse_config(ShardPlan, json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataError(
            f"{folder} holds no token shards: make them with loopyvq pretokenize"
        ) from error
    except (ConfigError, ValueError, TypeError) as error:
        raise DataError(f"{path} is damaged: {error}") from error


def write_shard(path: Path, plan: ShardPlan, packed: PackedTokens, numbers: Tensor) -> None:
    """Write one shard, whole or not at all.

    Args:
        path: where to.
        plan: what it belongs to.
        packed: its tokens.
        numbers: for every row, the number of its image.

    Raises:
        CheckpointError: the file cannot be written.
    """
    narrow = torch.int16 if plan.source.codebook_size <= 1 << 15 else torch.int32
    tensors = {"codes": packed.codes.to(narrow), "lengths": packed.lengths, "numbers": numbers}
    for name, item in zip(packed.condition._fields, packed.condition, strict=True):
        if item is not None:
            tensors[f"condition.{name}"] = item if item.is_floating_point() else _narrow(item)
    write_tensors(path, _KIND, tensors, plan=plan.digest)


def read_shard(path: Path, plan: ShardPlan) -> tuple[PackedTokens, Int[Tensor, " n"]]:
    """Read one shard.

    Args:
        path: the file.
        plan: what it must belong to.

    Returns:
        Its tokens, and the numbers of the images.

    Raises:
        DataError: it is missing, damaged, of another plan, or contradicts itself.
    """
    tensors, header = read_tensors(path, _KIND, DataError)
    if header.get("plan") != plan.digest:
        raise DataError(f"{path} does not belong to the other shards: remove it")
    try:
        codes, lengths, numbers = (tensors[name] for name in ("codes", "lengths", "numbers"))
        known = {name: tensors.get(f"condition.{name}") for name in Condition._fields}
        packed = PackedTokens.of(codes, lengths, Condition(**known), plan.source.max_depth)
        _check(plan, packed, numbers)
    except (KeyError, ValueError) as error:
        raise DataError(f"{path} holds no valid tokens: {error}") from error
    return packed, numbers


def open_token_shards(folder: str | Path) -> TokenShards:
    """Read all shards of a folder into memory.

    Args:
        folder: what `loopyvq pretokenize` wrote.

    Returns:
        The tokens.

    Raises:
        DataError: there are no shards, one is missing or damaged, or no image could be read.
    """
    plan = read_plan(folder)
    missing = sum(not shard_path(folder, i).is_file() for i in range(plan.num_shards))
    if missing:
        raise DataError(
            f"{missing} of {plan.num_shards} shards are missing in {folder}: "
            f"run the same loopyvq pretokenize again to finish them"
        )
    read = [read_shard(shard_path(folder, i), plan) for i in range(plan.num_shards)]
    filled = [(packed, numbers) for packed, numbers in read if packed.num_images]
    if not filled:
        raise DataError(f"the shards in {folder} hold no images: none could be read")
    packed = PackedTokens.join(packed for packed, _ in filled)
    return TokenShards(plan, packed, torch.cat([numbers for _, numbers in filled]).long())


def _check(plan: ShardPlan, packed: PackedTokens, numbers: Tensor) -> None:
    source, images, most = plan.source, packed.num_images, plan.source.max_depth
    if packed.lengths.shape[1:] != (source.rows, source.columns):
        raise ValueError(f"its grid is {tuple(packed.lengths.shape[1:])}")
    counts = [len(item) for item in packed.condition if item is not None]
    if any(count != images for count in (len(numbers), *counts)):
        raise ValueError("its tensors are of different numbers of images")
    lengths, codes = packed.lengths, packed.codes
    if images and not source.min_length <= int(lengths.min()) <= int(lengths.max()) <= most:
        raise ValueError(f"lengths must be within {source.min_length}..{most}")
    last = source.codebook_size - 1  # their number may be one more than 16 bits hold
    if not bool((((codes >= 0) & (codes <= last)) | (codes == CONTINUE)).all()):
        raise ValueError(f"codes must be within 0..{last} or CONTINUE")


def _narrow(item: Tensor) -> Tensor:
    """Store whole numbers in the fewest bits."""
    most = int(item.max()) if item.numel() else 0
    least = int(item.min()) if item.numel() else 0
    for kind in (torch.uint8, torch.int16, torch.int32):
        limits: Any = torch.iinfo(kind)
        if limits.min <= least and most <= limits.max:
            return item.to(kind)
    return item
