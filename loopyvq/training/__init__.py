"""Training: the loop, what is trained, and the record of it."""

from loopyvq.training.loop import train
from loopyvq.training.prior_config import PriorTrainingConfig
from loopyvq.training.prior_run import train_prior
from loopyvq.training.prior_task import PriorTask
from loopyvq.training.run import train_segmentation, train_tokenizer, train_vqgan
from loopyvq.training.run_config import RunConfig
from loopyvq.training.segmentation_config import SegmentationTrainingConfig
from loopyvq.training.segmentation_task import SegmentationTask
from loopyvq.training.tokenizer_task import TokenizerTask, TokenizerTrainingConfig
from loopyvq.training.vqgan_config import VqganTrainingConfig
from loopyvq.training.vqgan_task import VqganTask

__all__ = [
    "PriorTask",
    "PriorTrainingConfig",
    "RunConfig",
    "SegmentationTask",
    "SegmentationTrainingConfig",
    "TokenizerTask",
    "TokenizerTrainingConfig",
    "VqganTask",
    "VqganTrainingConfig",
    "train",
    "train_prior",
    "train_segmentation",
    "train_tokenizer",
    "train_vqgan",
]
