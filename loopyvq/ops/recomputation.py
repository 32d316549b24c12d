"""Whether a forward pass is one that activation checkpointing repeats."""

import torch

__all__ = ["is_recomputation"]


def is_recomputation() -> bool:
    """Tell whether autograd is running a backward pass right now.

    What runs forward within it repeats an earlier pass for its activations. There is no public
    question for this; `torch.utils.checkpoint` asks the same one.
    """
    return torch._C._current_graph_task_id() != -1
