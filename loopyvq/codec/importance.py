"""How much an error weighs at each site: what the eye, or a measure in its place, makes of it.

Structural similarity divides errors by the contrast around them, so the same squared error is seen
in a flat sky and lost in foliage. Weighing sites in between, by a power of that contrast, is what
video encoders call adaptive quantization. It is a guess, made before anything is encoded; a first
choice of tokens shows what errors really cost.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from loopyvq.codec.pixels import rows_at_once, to_grey
from loopyvq.errors import ConfigError

__all__ = ["DEFAULT_TUNE", "TUNES", "contrast_weights", "importance_as_shown", "site_importance"]

TUNES: Mapping[str, float] = MappingProxyType({"psnr": 0.0, "balanced": 0.25, "ms_ssim": 0.5})
"""What can be tuned for, and the power of the contrast: 0 weighs all sites alike."""
DEFAULT_TUNE = "balanced"

_WINDOW = 25  # pixels
_STABILISER = (0.03 * 255) ** 2  # of structural similarity, for flat places
_USUAL_CONTRAST = 20.0  # levels; root mean square

# How far importance follows what the image shows, away from the guess.
_TRUST = 0.6
_NEIGHBOURS = 3  # sites on a side
_LEAST_SHOWN = 0.02  # of the mean: below, noise decides


def site_importance(
    pixels: UInt8[Tensor, "c H W"], factor: int, tune: str, *, among_images: bool = False
) -> Float[np.ndarray, "h w"]:
    """Weigh the sites of an image by the contrast around them.

    Args:
        pixels: grey or colour.
        factor: pixels per site along each side.
        tune: one of `TUNES`.
        among_images: whether errors are weighed against those in other images too: a flat image
            then weighs more everywhere.

    Returns:
        Factors of the squared error, above 0; of geometric mean 1, or ``among_images`` 1 where the
        contrast is that of photographs.

    Raises:
        ConfigError: there is nothing of this name to tune for.

    Example:
        >>> half = torch.zeros(1, 64, 64, dtype=torch.uint8)
        >>> half[..., 32:] = torch.randint(0, 255, (64, 32))
        >>> weights = site_importance(half, 32, "ms_ssim")
        >>> bool(weights[0, 0] > 1 > weights[0, 1])
        True
    """
    if tune not in TUNES:
        raise ConfigError(f"tune must be one of {', '.join(TUNES)}, got {tune!r}")
    sites = contrast_weights(pixels, factor).log()
    usual = sites.mean()
    if among_images:
        usual = usual.new_tensor(1 / (2 * _USUAL_CONTRAST**2 + _STABILISER)).log()
    return torch.exp(TUNES[tune] * (sites - usual)).numpy()


def contrast_weights(pixels: UInt8[Tensor, "c H W"], factor: int) -> Float[Tensor, "h w"]:
    """Tell what structural similarity makes of a squared error at each site.

    Args:
        pixels: grey or colour.
        factor: pixels per site along each side.

    Returns:
        One over twice the variance around, stabilised; in 1 / squared levels.

    References:
        Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment", 2004, equation 13,
        https://doi.org/10.1109/TIP.2003.819861
    """
    height, reach, found = int(pixels.shape[1]), _WINDOW // 2, []
    step = factor * -(-rows_at_once(int(pixels.shape[2])) // factor)
    for top in range(0, height, step):
        bottom = min(top + step, height)
        above, below = max(top - reach, 0), min(bottom + reach, height)
        part = pixels[:, above:below]
        grey = (to_grey(part) if part.shape[0] == 3 else part[:1]).double().unsqueeze(0)
        margins = (reach, reach, reach - (top - above), reach - (below - bottom))
        around = F.pad(grey, margins, mode="replicate")
        mean, square = (_average(power) for power in (around, around.square()))
        contrast = (square - mean.square()).clamp(min=0)
        weights = 1 / (2 * contrast + _STABILISER)
        found.append(F.avg_pool2d(weights, factor, ceil_mode=True)[0, 0])
    return torch.cat(found)


def importance_as_shown(
    importance: Float[np.ndarray, "h w"] | None,
    errors: Float[Tensor, "h w"],
    shown: Sequence[Float[Tensor, "h w"]],
    shares: Sequence[float],
) -> Float[np.ndarray, "h w"]:
    """Correct the weights of sites by what their errors turned out to cost.

    What a site's error costs in structure is not only a matter of the contrast around: it is more
    where much of the structure is lost already, and less where neighbours' errors hide it.

    Args:
        importance: the guess; None: all alike.
        errors: the squared error of each site.
        shown: what it costs, in one or more measures, in any unit.
        shares: of the measures; they sum to 1.

    Returns:
        Factors of the squared error, above 0, with the geometric mean of the guess.

    Example:
        >>> errors, cost = torch.ones(1, 8), torch.ones(1, 8)
        >>> cost[0, 4:] = 2
        >>> weights = importance_as_shown(None, errors, [cost], [1.0])
        >>> bool(weights[0, 0] < 1 < weights[0, 7])
        True
    """
    guess = np.zeros(errors.shape) if importance is None else np.log(importance)
    found, around = torch.zeros(errors.shape, dtype=torch.float64), _neighbourhood(errors)
    for costs, share in zip(shown, shares, strict=True):
        per_error = (_neighbourhood(costs) / around).nan_to_num(0.0).double()
        least = _LEAST_SHOWN * per_error.clamp(min=0).mean().clamp(min=1e-300)
        found += share * per_error.clamp(min=least).log()
    change = (found - found.mean()).numpy() - (guess - guess.mean())
    return np.exp(guess + _TRUST * change)


def _neighbourhood(plane: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """Average over a site and its neighbours; the border is repeated."""
    reach = _NEIGHBOURS // 2
    around = F.pad(plane[None, None], (reach, reach, reach, reach), mode="replicate")
    return F.avg_pool2d(around, _NEIGHBOURS, 1)[0, 0]


def _average(plane: Float[Tensor, "1 1 H W"]) -> Float[Tensor, "1 1 h w"]:
    """Average over windows: four corners of sums over all above and to the left."""
    sums = F.pad(plane.cumsum(dim=2).cumsum(dim=3), (1, 0, 1, 0))
    rows = sums[:, :, _WINDOW:] - sums[:, :, :-_WINDOW]
    return (rows[..., _WINDOW:] - rows[..., :-_WINDOW]) / _WINDOW**2
