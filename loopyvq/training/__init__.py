"""Training: the loop, what is trained, and the record of it."""

from loopyvq.training.loop import RunConfig, train
from loopyvq.training.run import train_tokenizer, train_vqgan
from loopyvq.training.tokenizer_task import TokenizerTask, TokenizerTrainingConfig
from loopyvq.training.vqgan_config import VqganTrainingConfig
from loopyvq.training.vqgan_task import VqganTask

__all__ = [
    "RunConfig",
    "TokenizerTask",
    "TokenizerTrainingConfig",
    "VqganTask",
    "VqganTrainingConfig",
    "train",
    "train_tokenizer",
    "train_vqgan",
]
