"""What the demonstration of a prior made, ready to be shown."""

from typing import NamedTuple

from jaxtyping import Bool, UInt8
from torch import Tensor

from loopyvq.generation import ImagePrior
from loopyvq.tokens import Tokens

__all__ = ["Completion", "GenerationDemo"]


class Completion(NamedTuple):
    """One image that was not learned, gone on with from its upper half.

    Attributes:
        original: the pixels.
        mask: ``h w``; sites that were kept.
        reconstruction: the image as its tokens have it.
        drawn: ``n c S S``; different ends.
        tokens: of these.
    """

    original: UInt8[Tensor, "c S S"]
    mask: Bool[Tensor, "h w"]
    reconstruction: UInt8[Tensor, "c S S"]
    drawn: UInt8[Tensor, "n c S S"]
    tokens: Tokens


class GenerationDemo(NamedTuple):
    """Everything on the page.

    Attributes:
        model: the prior and its tokenizer.
        data: name of the images.
        samples: ``n c S S``.
        tokens: of the samples.
        moments: how the first samples filled: sites that were done, and the tokens.
        completions: of images that were not learned.
        num_training: images, or crops, that the prior was trained on.
        training_s: seconds of training, both models and the encoding in between.
        history: lines of the prior's ``metrics.jsonl``.
        prior_file: path of the prior, from where the demonstration ran.
    """

    model: ImagePrior
    data: str
    samples: UInt8[Tensor, "n c S S"]
    tokens: Tokens
    moments: list[tuple[int, Tokens]]
    completions: list[Completion]
    num_training: int
    training_s: float
    history: list[dict[str, object]]
    prior_file: str
