"""Images in: reading them from anywhere, dividing them, and cutting training crops."""

from loopyvq.data.archive import TarImages, ZipImages
from loopyvq.data.base import EncodedImageSet, ImageSet
from loopyvq.data.datasets import DATASETS, open_image_set
from loopyvq.data.decoding import (
    MAX_PIXELS,
    BrokenImageError,
    decode_image,
    to_float,
    to_pil,
    to_uint8,
)
from loopyvq.data.draws import TrainingDraws
from loopyvq.data.folder import FileImages, FolderImages, SingleImage
from loopyvq.data.idx import IdxImages
from loopyvq.data.listing import ListedImages
from loopyvq.data.samples import SampleImages
from loopyvq.data.transforms import CropConfig, random_crop
from loopyvq.data.views import Subset, cached, split

__all__ = [
    "DATASETS",
    "MAX_PIXELS",
    "BrokenImageError",
    "CropConfig",
    "EncodedImageSet",
    "FileImages",
    "FolderImages",
    "IdxImages",
    "ImageSet",
    "ListedImages",
    "SampleImages",
    "SingleImage",
    "Subset",
    "TarImages",
    "TrainingDraws",
    "ZipImages",
    "cached",
    "decode_image",
    "open_image_set",
    "random_crop",
    "split",
    "to_float",
    "to_pil",
    "to_uint8",
]
