"""Where tokens come from: the tokenizer, the grid, the stop rule, what is known of the images."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from loopyvq.config import require_numbers
from loopyvq.data.boxes import BoxConfig
from loopyvq.errors import ConfigError
from loopyvq.tokens import LARGEST_DEPTH

__all__ = ["ConditionSource", "TokenSource"]


@dataclass(frozen=True)
class ConditionSource:
    """How maps were made that a prior was told, so that it can be told the same again.

    Attributes:
        tokenizer: identity of the model whose codes tell them; empty: none.
        cells: labels along a site's side; 0: nothing is known of how maps were made.
        edges: how edges were found.
        edge_sigma: blur before canny, in pixels.
        factor: how many times smaller along each side images of low resolution are.
        enlarge: whether these were enlarged again.
    """

    tokenizer: str = ""
    cells: int = 0
    edges: Literal["sobel", "canny"] = "sobel"
    edge_sigma: float = 2.0
    factor: int = 4
    enlarge: bool = True


@dataclass(frozen=True)
class TokenSource:
    """What must be known of tokens to model them, and to turn new ones into images.

    Attributes:
        tokenizer: identity of the model that made them.
        tokenizer_path: where it was, seen from the folder of the file that holds this; a hint.
        codebook_size: number of codes.
        max_depth: most tokens of a site.
        min_length: fewest tokens of a site.
        rows: sites along the height of an image.
        columns: sites along its width.
        height: of an image, in pixels.
        width: of an image, in pixels.
        threshold: the stop distance, in units of the latents' scale, which the decoder is told.
        stop: the rule that reads it, see `loopyvq.pretokenize.StopRule`.
        weigh: the threshold at which codes of a fixed depth were weighed; 0: they were not.
        tune: what errors were weighed for, where codes were chosen by what they cost.
        effort: how often an image was looked at as it is painted, to choose its tokens anew.
        priced_by: identity of the prior that chose them, with ``prior``.
        condition: what is known of an image, a kind of condition; ``none`` for nothing.
        classes: number of classes; 0 where there are none.
        class_names: of the classes; empty where they have none.
        symbols: number of symbols of the map that is known; 0 where there is none.
        condition_path: the tokenizer that made that map, a hint like ``tokenizer_path``.
        told: how that map was made.
        box_classes: number of classes of boxes; 0 where there are none.
        boxes: how they were put around things.
    """

    tokenizer: str = ""
    tokenizer_path: str = ""
    codebook_size: int = 1
    max_depth: int = 1
    min_length: int = 0
    rows: int = 1
    columns: int = 1
    height: int = 1
    width: int = 1
    threshold: float = 0.0
    stop: Literal["threshold", "rate_distortion", "in_context", "prior"] = "threshold"
    weigh: float = 0.0
    tune: Literal["psnr", "balanced", "ms_ssim"] = "psnr"
    effort: int = 0
    priced_by: str = ""
    condition: str = "none"
    classes: int = 0
    class_names: tuple[str, ...] = ()
    symbols: int = 0
    condition_path: str = ""
    told: ConditionSource = field(default_factory=ConditionSource)
    box_classes: int = 0
    boxes: BoxConfig = field(default_factory=BoxConfig)

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_numbers(self, "at least 1", "codebook_size", "rows", "columns", "height", "width")
        if not 1 <= self.max_depth <= LARGEST_DEPTH or not 0 <= self.min_length <= self.max_depth:
            raise ConfigError(
                f"lengths must be within 0..max_depth up to {LARGEST_DEPTH}, got {self.min_length}"
                f"..{self.max_depth}"
            )
        counts = ("classes", "symbols", "box_classes", "effort")
        require_numbers(self, "0 or more", "threshold", *counts)
        if self.class_names and len(self.class_names) != self.classes:
            raise ConfigError(f"{self.classes} classes cannot have {len(self.class_names)} names")

    @property
    def num_sites(self) -> int:
        """Sites of an image."""
        return self.rows * self.columns

    @property
    def num_pixels(self) -> int:
        """Pixels of an image."""
        return self.height * self.width

    def tokenizer_file(self, folder: str | Path) -> Path:
        """Follow the hint.

        Args:
            folder: of the file that holds this.

        Returns:
            Where the tokenizer was; it may have moved since.
        """
        return Path(folder) / self.tokenizer_path
