"""The codebook of an array, which its file can bring along: plain numbers, summed in one order."""

import hashlib
import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Integer

from loopyvq.coding import decode_floats, encode_floats
from loopyvq.errors import BitstreamError, ConfigError
from loopyvq.quantize import LoopConfig, LoopQuantizer

__all__ = ["VectorCodebook", "codebook_of", "fit_codebook", "read_codebook", "write_codebook"]

_GAIN_RATIO = 0.75


class VectorCodebook(NamedTuple):
    """What turns tokens into vectors: ``sigma * sum_t gains[t] * codes[k_t]``, in float32.

    Attributes:
        codes: in units of ``sigma``, each number representable in 16 bits.
        gains: factor per turn.
        sigma: unit of the codes, above 0.
    """

    codes: Float32[np.ndarray, "k d"]
    gains: Float32[np.ndarray, " l"]
    sigma: float

    @property
    def identity(self) -> str:
        """16 hexadecimal digits of the SHA-256 of the codebook as a file holds it."""
        return hashlib.sha256(write_codebook(self)).hexdigest()[:16]

    def decode(self, tokens: Integer[np.ndarray, "n l"]) -> Float32[np.ndarray, "n d"]:
        """Give the vectors of tokens.

        Args:
            tokens: codes; what is negative adds nothing.

        Returns:
            The vectors, bit by bit the same on every machine; perhaps not finite for a codebook of
            a damaged file.
        """
        total = np.zeros((len(tokens), self.codes.shape[1]), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            for turn, gain in enumerate(self.gains):
                column = tokens[:, turn]
                chosen = column >= 0
                total[chosen] += gain * self.codes[column[chosen]]
            return total * np.float32(self.sigma)

    def quantizer(self) -> LoopQuantizer:
        """Build the loop that searches for the tokens.

        Returns:
            A quantizer of vectors in units of ``sigma``.
        """
        size, width = self.codes.shape
        quantizer = LoopQuantizer(_config(size, width, len(self.gains)))
        quantizer.codebook.set(torch.from_numpy(self.codes))
        quantizer.gains.set(torch.from_numpy(self.gains))
        return quantizer.eval()


def fit_codebook(
    vectors: Float[np.ndarray, "n d"], size: int, max_depth: int = 8, seed: int = 0
) -> VectorCodebook:
    """Learn a codebook.

    Args:
        vectors: finite, at least one.
        size: number of codes.
        max_depth: most tokens of a vector.
        seed: of the samples.

    Returns:
        The codebook.

    Raises:
        ConfigError: a size is below 1, or the vectors are none, or not finite, or not ``n d``.
    """
    if vectors.ndim != 2 or 0 in vectors.shape or not np.isfinite(vectors).all():
        raise ConfigError(f"vectors must be finite and of shape (n, d), got {vectors.shape}")
    sigma = _rms(vectors)
    unit = torch.from_numpy((vectors.astype(np.float64) / sigma).astype(np.float32))
    quantizer = LoopQuantizer.fit(unit, _config(size, vectors.shape[1], max_depth), seed)
    gains = quantizer.gains().detach().numpy().astype(np.float32)
    return VectorCodebook(_halved(quantizer.codebook.weight.detach().numpy()), gains, sigma)


def codebook_of(
    codes: Float[np.ndarray, "k d"], max_depth: int = 8, ratio: float = _GAIN_RATIO
) -> VectorCodebook:
    """Take a codebook that is given.

    Args:
        codes: finite, at least one.
        max_depth: most tokens of a vector.
        ratio: gain of a turn over that of the turn before, in ``(0, 1]``.

    Returns:
        The codebook; the codes are rounded to 16 bits.

    Raises:
        ConfigError: there are no codes, or they are not finite, or an option is out of range.
    """
    if max_depth < 1 or not 0 < ratio <= 1:
        raise ConfigError(
            f"max_depth must be at least 1 and ratio within (0, 1], got {max_depth} and {ratio}"
        )
    if codes.ndim != 2 or 0 in codes.shape or not np.isfinite(codes).all():
        raise ConfigError(f"a codebook must be finite and of shape (k, d), got {codes.shape}")
    sigma = _rms(codes)
    gains = (np.float32(ratio) ** np.arange(max_depth)).astype(np.float32)
    return VectorCodebook(_halved(codes.astype(np.float64) / sigma), gains, sigma)


def write_codebook(codebook: VectorCodebook) -> bytes:
    """Write a codebook as the payload of a ``codebook`` chunk.

    Args:
        codebook: the codebook.

    Returns:
        Codes in 16 bits, then gains and ``sigma`` in 32.
    """
    scales = [codebook.gains, np.array(codebook.sigma, np.float32)]
    return encode_floats([codebook.codes], half=True) + encode_floats(scales)


def read_codebook(payload: bytes) -> VectorCodebook:
    """Read a codebook that `write_codebook` wrote.

    Args:
        payload: of a ``codebook`` chunk.

    Returns:
        The codebook.

    Raises:
        BitstreamError: the payload is none.
    """
    arrays = decode_floats(payload)
    axes = [array.ndim for array in arrays]
    if axes != [2, 1, 0] or 0 in arrays[0].shape or not len(arrays[1]):
        raise BitstreamError("the codebook chunk holds no codes, gains and unit")
    codes, gains, sigma = arrays
    if not float(sigma) > 0:
        raise BitstreamError("the codebook's unit must be above 0")
    return VectorCodebook(codes, gains, float(sigma))


def _config(size: int, width: int, max_depth: int) -> LoopConfig:
    return LoopConfig(codebook_size=size, codebook_dim=width, max_depth=max_depth, scale="absolute")


def _rms(vectors: Float[np.ndarray, "n d"]) -> float:
    """Measure the root mean square norm, as a positive 32-bit float."""
    largest = float(np.abs(vectors).max(initial=0.0))
    if not largest:
        return 1.0
    unit = vectors.astype(np.float64) / largest
    rms = largest * math.sqrt(float(np.square(unit).sum(axis=1).mean()))
    limits = np.finfo(np.float32)
    return float(np.float32(min(max(rms, float(limits.tiny)), float(limits.max) / 1e6)))


def _halved(codes: Float[np.ndarray, "k d"]) -> Float32[np.ndarray, "k d"]:
    limit = float(np.finfo(np.float16).max)
    return np.clip(codes, -limit, limit).astype(np.float16).astype(np.float32)
