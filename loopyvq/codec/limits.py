"""What a reader is ready to spend on a stranger's file, checked before anything is allocated."""

from dataclasses import dataclass

from loopyvq.coding import Header
from loopyvq.errors import BitstreamError, ConfigError

__all__ = ["ReadingLimits"]


@dataclass(frozen=True)
class ReadingLimits:
    """How large the content of a file may be.

    Attributes:
        max_pixels: of an image; or numbers of an array. Reading as many as the default takes less
            than 1 GiB.
        max_tokens: sites, or vectors of an array, times the largest length of a site. A token takes
            up to about 50 bytes while it is decoded, whether it is there or not.

    Example:
        >>> ReadingLimits(max_pixels=1 << 20).max_tokens
        16777216
    """

    max_pixels: int = 1 << 26
    max_tokens: int = 1 << 24

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.max_pixels < 1 or self.max_tokens < 1:
            raise ConfigError(
                f"limits must be at least 1, got {self.max_pixels} pixels, {self.max_tokens} tokens"
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
                f"allowed {self.max_pixels}: allow more (--max-pixels) if you trust it"
            )
        num_tokens = num_sites * header.max_depth
        if num_tokens > self.max_tokens:
            raise BitstreamError(
                f"the file announces up to {num_tokens} tokens, more than the allowed "
                f"{self.max_tokens}: allow more (--max-tokens) if you trust it"
            )
