"""From a prior to images: batches, windows, completion, rejection."""

from loopyvq.generation.drawing import draw_in_batches
from loopyvq.generation.image_prior import ImagePrior, class_numbers, open_image_prior
from loopyvq.generation.keep import REGIONS, mask_of_picture, mask_of_region
from loopyvq.generation.known_images import (
    classes_in_turn,
    lengths_of_picture,
    maps_of_images,
    places_of,
    told_places,
)
from loopyvq.generation.painting import Film, encode_like, paint
from loopyvq.generation.rejection import Jury
from loopyvq.generation.told_boxes import told_boxes
from loopyvq.generation.windows import Windows, generate_by_windows

__all__ = [
    "REGIONS",
    "Film",
    "ImagePrior",
    "Jury",
    "Windows",
    "class_numbers",
    "classes_in_turn",
    "draw_in_batches",
    "encode_like",
    "generate_by_windows",
    "lengths_of_picture",
    "maps_of_images",
    "mask_of_picture",
    "mask_of_region",
    "open_image_prior",
    "paint",
    "places_of",
    "told_boxes",
    "told_places",
]
