"""Training: the loop, what is trained, and the record of it."""

from loopyvq.training.loop import RunConfig, train
from loopyvq.training.run import train_tokenizer
from loopyvq.training.tokenizer_task import TokenizerTask, TokenizerTrainingConfig

__all__ = ["RunConfig", "TokenizerTask", "TokenizerTrainingConfig", "train", "train_tokenizer"]
