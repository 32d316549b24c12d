"""What a reader is ready to spend on a stranger's file, checked before anything is allocated."""

from dataclasses import dataclass

from loopyvq.coding import Header
from loopyvq.errors import BitstreamError, ConfigError

__all__ = ["ReadingLimits"]


@dataclass(frozen=True)
class ReadingLimits:
    """How large the content of a file may be.

    Attributes:
        max_pixels: of an image; or numbers of an array.
        max_sites: places of the latent grid, or vectors of an array. A site takes about 100 bytes
            per turn while it is decoded.

    Example:
        >>> ReadingLimits(max_pixels=1 << 20).max_sites
        4194304
    """

    max_pixels: int = 200_000_000
    max_sites: int = 1 << 22

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.max_pixels < 1 or self.max_sites < 1:
            raise ConfigError(
                f"limits must be at least 1, got {self.max_pixels} pixels, {self.max_sites} sites"
            )

    def check(self, header: Header, num_sites: int) -> None:
        """Compare a header with the limits.

        Args:
            header: as read.
            num_sites: how many sites it implies.

        Raises:
            BitstreamError: it announces more than is allowed.
        """
        pixels = header.height * header.width
        if pixels > self.max_pixels:
            what = "pixels" if header.channels else "numbers"
            raise BitstreamError(
                f"the file announces {header.height} x {header.width} {what}, more than the "
                f"allowed {self.max_pixels}"
            )
        if num_sites > self.max_sites:
            raise BitstreamError(
                f"the file announces {num_sites} sites, more than the allowed {self.max_sites}"
            )
