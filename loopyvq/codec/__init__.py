"""Images and arrays to the bytes of a file and back, with a bound that is checked.

image --encoder--> z_e --loop--> Tokens --coding--> bytes --> Tokens --> z_q --decoder--> image
"""

from loopyvq.codec.array import compress_array, decompress_array
from loopyvq.codec.image import Codec, Verified
from loopyvq.codec.limits import ReadingLimits
from loopyvq.codec.rate_control import TARGETS, Target, threshold_of_quality
from loopyvq.codec.sites import DecodedSites
from loopyvq.codec.table_fitting import fit_tables_to_images
from loopyvq.codec.tables import load_tables, save_tables
from loopyvq.codec.vector_codebook import VectorCodebook, codebook_of, fit_codebook

__all__ = [
    "TARGETS",
    "Codec",
    "DecodedSites",
    "ReadingLimits",
    "Target",
    "VectorCodebook",
    "Verified",
    "codebook_of",
    "compress_array",
    "decompress_array",
    "fit_codebook",
    "fit_tables_to_images",
    "load_tables",
    "save_tables",
    "threshold_of_quality",
]
