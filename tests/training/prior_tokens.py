"""Small shards that have a pattern to learn, and a prior that learns it in a second."""

from pathlib import Path

import torch

from loopyvq.conditions import Condition
from loopyvq.config import parse_config
from loopyvq.data.token_batch import PackedTokens
from loopyvq.data.token_shards import ShardPlan, shard_path, write_plan, write_shard
from loopyvq.data.token_source import TokenSource
from loopyvq.tokens import PAD, Tokens
from loopyvq.training import PriorTrainingConfig

SOURCE = TokenSource(
    tokenizer="0123456789abcdef", tokenizer_path="../tokenizer.safetensors", codebook_size=8,
    max_depth=3, rows=3, columns=3, height=12, width=12, threshold=0.3, condition="class",
    classes=2, class_names=("ant", "bee"),
)  # fmt: skip

SMALL = {"width": 16, "layers": 1, "heads": 2}
TINY_PRIOR = {
    "site": {"transformer": SMALL, "depth": SMALL},
    "flat": {"transformer": SMALL},
    "optim": {"warmup_steps": 3},
    "run": {
        "steps": 6,
        "batch_size": 8,
        "accelerator": "cpu",
        "log_every": 2,
        "validate_every": 4,
        "save_every": 4,
        "tensorboard": False,
    },
    "validation_share": 0.2,
}


def tiny_prior_training(*words: str) -> PriorTrainingConfig:
    """A training that takes a second, with options of the config on top."""
    return parse_config(PriorTrainingConfig, TINY_PRIOR, words)


def patterned_tokens(images: int, seed: int = 0) -> tuple[Tokens, Condition]:
    """Tokens that follow from class and place, with a little noise."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randint(0, 2, (images,), generator=generator)
    place = torch.arange(9).view(1, 3, 3)
    lengths = ((place + classes.view(-1, 1, 1)) % 4).clamp(max=3)
    codes = (place.unsqueeze(3) + 3 * classes.view(-1, 1, 1, 1) + torch.arange(3)) % 8
    noise = torch.rand(codes.shape, generator=generator) < 0.05
    codes = torch.where(noise, (codes + 1) % 8, codes)
    ran = torch.arange(3) < lengths.unsqueeze(3)
    return Tokens(torch.where(ran, codes, PAD), lengths), Condition(classes=classes)


def write_patterned_shards(folder: Path, images: int = 60, source: TokenSource = SOURCE) -> Path:
    """Two shards of them."""
    plan = ShardPlan(source, num_images=images, images_per_shard=images // 2, size=12)
    write_plan(folder, plan)
    packed = PackedTokens.pack(*patterned_tokens(images))
    for shard in range(plan.num_shards):
        rows = torch.tensor(plan.images_of(shard))
        part = PackedTokens.pack(*packed.select(rows))
        write_shard(shard_path(folder, shard), plan, part, rows)
    return folder
