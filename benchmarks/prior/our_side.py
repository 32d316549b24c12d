"""Ours: the converted flat prior, and site-and-depth against flat tokens of the same lengths."""

import torch
from sizes import Sizes
from torch import Tensor, nn
from torch.nn import functional as F

from loopyvq.interop.taming_prior import is_mask, prior_from_state
from loopyvq.models.prior.flat_prior import FlatPriorConfig
from loopyvq.models.prior.sampling import SamplingConfig
from loopyvq.models.taming.prior import TamingPrior, TamingPriorConfig


def convert(theirs: nn.Module, sizes: Sizes) -> TamingPrior:
    """Load taming's weights."""
    flat = FlatPriorConfig(
        vocabulary_size=sizes.vocabulary,
        context_length=sizes.context,
        layers=sizes.layers,
        heads=sizes.heads,
        width=sizes.width,
    )
    state = {name: item for name, item in theirs.state_dict().items() if "transformer." in name}
    state = {name: item for name, item in state.items() if not is_mask(name)}
    return prior_from_state(TamingPriorConfig(prior=flat), state, "taming")


def extend(prior: TamingPrior, start: Tensor, steps: int, top_k: int | None) -> Tensor:
    """Draw with our cache; greedily without ``top_k``."""
    if top_k is None:
        return prior.extend(start, start[:, :0], steps)
    uniform = torch.rand(len(start), steps, dtype=torch.float64)
    return prior.extend(start, start[:, :0], steps, SamplingConfig(top_k=top_k), uniform)


def extend_in_bf16(prior: TamingPrior, start: Tensor, steps: int, top_k: int | None) -> Tensor:
    """Draw with products of bfloat16: not the same symbols."""
    with torch.autocast("cpu", torch.bfloat16):
        return extend(prior, start, steps, top_k)


def optimizer_of(prior: TamingPrior) -> torch.optim.Optimizer:
    """Decay what taming decays, in one fused update."""
    decayed = [p for name, p in prior.named_parameters() if p.ndim == 2 and "symbols" not in name
               and "positions" not in name]  # fmt: skip
    kept = {id(p) for p in decayed}
    rest = [p for p in prior.parameters() if id(p) not in kept]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.95), fused=True)


def training_step(
    prior: TamingPrior, optimizer: torch.optim.Optimizer, codes: Tensor, *, bf16: bool
) -> None:
    """Take a step on ready codes."""
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        logits = prior.logits(prior.start(len(codes)), codes)
        loss = F.cross_entropy(logits.flatten(0, 1), codes.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
