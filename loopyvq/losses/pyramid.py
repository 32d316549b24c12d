"""A perceptual distance without weights: the normalised Laplacian pyramid.

    image --blur, /2--> --blur, /2--> ...        each band = a level minus the blown-up next one
    band / (constant + mean amplitude around it) compared with the reference's, band by band

What is hard to see counts little: an error beside a strong edge is divided by the edge's
amplitude, the same error on a smooth wall is not. It knows nothing of objects or textures.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["PyramidDistance"]

_ROW = (0.05, 0.25, 0.4, 0.25, 0.05)
# Amplitude in [-1, 1] images below which contrast is not seen.
_CONSTANT = 0.1


class PyramidDistance(nn.Module):
    """Compare images band by band, each band in units of the reference's local amplitude.

    Unlike LPIPS it needs no weights, and it is another quantity: values do not compare.

    Args:
        levels: bands, finest first, fewer where an image has no room for them.

    Example:
        >>> distance = PyramidDistance()
        >>> image = torch.zeros(1, 3, 32, 32)
        >>> distance(image, image)
        tensor([0.])

    References:
        Perceptual image quality assessment using a normalized Laplacian pyramid, 2016, section 2,
        https://doi.org/10.2352/ISSN.2470-1173.2016.16.HVEI-103
    """

    window: Tensor

    def __init__(self, levels: int = 4) -> None:
        super().__init__()
        if levels < 1:
            raise ValueError(f"levels must be at least 1, got {levels}")
        self.levels = levels
        self.register_buffer("window", torch.tensor(_ROW), persistent=False)

    def forward(
        self, image: Float[Tensor, "b c H W"], reference: Float[Tensor, "b c H W"]
    ) -> Float[Tensor, " b"]:
        """Compare reconstructions with their images.

        Args:
            image: the reconstructions, in [-1, 1] or a little beyond.
            reference: the originals; the only side that sets the amplitudes.

        Returns:
            The mean absolute difference over bands of each image, float32.

        Raises:
            ValueError: the shapes differ.
        """
        if image.shape != reference.shape:
            raise ValueError(
                f"image and reference must have one shape, got {tuple(image.shape)} and "
                f"{tuple(reference.shape)}"
            )
        with torch.autocast(image.device.type, enabled=False):
            return self._compare(image.float() - reference.float(), reference.detach().float())

    def _compare(self, error: Tensor, reference: Tensor) -> Tensor:
        """Compare the bands; they are linear, so the error's band is the bands' difference."""
        total, bands = error.new_zeros(len(error)), 0
        for level in range(self.levels):
            is_last = level == self.levels - 1 or min(error.shape[2:]) < 2 * len(_ROW)
            error_below = None if is_last else self._blur(error)[:, :, ::2, ::2]
            reference_below = None if is_last else self._blur(reference)[:, :, ::2, ::2]
            error_band = _band(error, error_below)
            amplitude = self._blur(_band(reference, reference_below).abs())
            total = total + (error_band.abs() / (_CONSTANT + amplitude)).mean(dim=(1, 2, 3))
            bands += 1
            if error_below is None or reference_below is None:
                break
            error, reference = error_below, reference_below
        return total / bands

    def _blur(self, planes: Tensor) -> Tensor:
        channels, side = planes.shape[1], len(_ROW)
        row = self.window.view(1, 1, 1, side).expand(channels, 1, 1, side)
        margin = side // 2
        padded = F.pad(planes, (margin, margin, margin, margin), mode="replicate")
        return F.conv2d(
            F.conv2d(padded, row, groups=channels), row.transpose(2, 3), groups=channels
        )


def _band(planes: Tensor, below: Tensor | None) -> Tensor:
    """Take what the next level does not hold."""
    if below is None:
        return planes
    size = (planes.shape[2], planes.shape[3])
    return planes - F.interpolate(below, size=size, mode="bilinear", align_corners=False)
