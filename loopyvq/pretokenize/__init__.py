"""Images and what is known of them to tokens: for shards on disk, or on the way into training."""

from loopyvq.pretokenize.encoding import Prices, StopRule, encode_images
from loopyvq.pretokenize.image_tokens import ImageTokens
from loopyvq.pretokenize.known import Known, KnownConfig
from loopyvq.pretokenize.shards import pretokenize, square_side
from loopyvq.pretokenize.stop import (
    default_stop,
    psnr_of,
    psnr_of_tokens,
    stop_for_length,
    stop_for_psnr,
)
from loopyvq.pretokenize.summary import ShardSummary, summarise

__all__ = [
    "ImageTokens",
    "Known",
    "KnownConfig",
    "Prices",
    "ShardSummary",
    "StopRule",
    "default_stop",
    "encode_images",
    "pretokenize",
    "psnr_of",
    "psnr_of_tokens",
    "square_side",
    "stop_for_length",
    "stop_for_psnr",
    "summarise",
]
