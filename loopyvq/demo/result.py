"""What the demonstration found, ready to be shown."""

from typing import NamedTuple

from jaxtyping import UInt8
from torch import Tensor

from loopyvq.evaluation import ImageResult, PointResult
from loopyvq.models import AnyTokenizerConfig

__all__ = ["DemoPhoto", "DemoResult"]


class DemoPhoto(NamedTuple):
    """One photograph that the model was not trained on.

    Attributes:
        name: its name.
        original: the pixels.
        results: one per threshold, coarse to fine.
    """

    name: str
    original: UInt8[Tensor, "3 H W"]
    results: list[ImageResult]


class DemoResult(NamedTuple):
    """Everything on the report page.

    Attributes:
        photos: photographs at every threshold.
        points: all photographs together, one per threshold, coarse to fine.
        fixed_depth: the same checkpoint with every site given the same number of turns, one per
            depth, from 1.
        config: sizes of the model.
        num_parameters: its trained parameters.
        steps: optimizer steps taken.
        training_s: seconds of training.
        history: lines of ``metrics.jsonl``, each with ``step`` and measurements by name.
        model_file: path of the trained model, from where the demonstration ran.
        training_photos: names of the photographs that the model was trained on.
        seed: the seed of the training run.
    """

    photos: list[DemoPhoto]
    points: list[PointResult]
    fixed_depth: list[PointResult]
    config: AnyTokenizerConfig
    num_parameters: int
    steps: int
    training_s: float
    history: list[dict[str, object]]
    model_file: str
    training_photos: list[str]
    seed: int
