"""Images in: reading them from anywhere, dividing them, and cutting training crops."""

from loopyvq.data.archive import TarImages, ZipImages
from loopyvq.data.base import EncodedImageSet, ImageSet
from loopyvq.data.boxes import BoxConfig, box_in_steps, boxes_of
from loopyvq.data.conditioned import (
    ConditionedDraws,
    ConditionedImages,
    open_conditioned_set,
    open_depth_maps,
    open_label_maps,
)
from loopyvq.data.conditions import ConditionDataConfig, Sample, condition_of, sample_of
from loopyvq.data.datasets import DATASETS, open_image_set
from loopyvq.data.decoding import (
    MAX_PIXELS,
    BrokenImageError,
    decode_image,
    to_float,
    to_pil,
    to_uint8,
)
from loopyvq.data.draws import Draws, LabelDraws, TrainingDraws
from loopyvq.data.folder import FileImages, FolderImages, SingleImage
from loopyvq.data.idx import IdxImages
from loopyvq.data.label_maps import LabelMapConfig, one_hot
from loopyvq.data.listing import ListedImages
from loopyvq.data.pairs import PairedImages, SideBySideImages, take_apart
from loopyvq.data.palettes import PALETTES
from loopyvq.data.samples import SampleImages
from loopyvq.data.transforms import CropConfig, random_crop
from loopyvq.data.views import Subset, cached, split

__all__ = [
    "DATASETS",
    "MAX_PIXELS",
    "PALETTES",
    "BoxConfig",
    "BrokenImageError",
    "ConditionDataConfig",
    "ConditionedDraws",
    "ConditionedImages",
    "CropConfig",
    "Draws",
    "EncodedImageSet",
    "FileImages",
    "FolderImages",
    "IdxImages",
    "ImageSet",
    "LabelDraws",
    "LabelMapConfig",
    "ListedImages",
    "PairedImages",
    "Sample",
    "SampleImages",
    "SideBySideImages",
    "SingleImage",
    "Subset",
    "TarImages",
    "TrainingDraws",
    "ZipImages",
    "box_in_steps",
    "boxes_of",
    "cached",
    "condition_of",
    "decode_image",
    "one_hot",
    "open_conditioned_set",
    "open_depth_maps",
    "open_image_set",
    "open_label_maps",
    "random_crop",
    "sample_of",
    "split",
    "take_apart",
    "to_float",
    "to_pil",
    "to_uint8",
]
