"""Analysis by synthesis: the encoder looks at what a reader will see, and aims again.

    tokens --decoder--> pixels - image --gradient--> where each latent should have been
                                                     and how much each entry and each site matters

Latents are where the encoder's network puts them, not where they serve the decoder best once they
are quantized: neighbours' errors add up or cancel, and some entries hardly show. How much of a new
aim may be followed differs from model to model and from image to image, so it is tried.
"""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from loopyvq.codec.decoder_input import DecoderInput
from loopyvq.codec.importance import TUNES, contrast_weights, importance_as_shown
from loopyvq.codec.pixels import rows_at_once
from loopyvq.codec.stakes import Aim
from loopyvq.codec.tiles import TILE_SITES, decoder_reach, paint_in_tiles, tiles
from loopyvq.data import to_float
from loopyvq.models import Tokenizer
from loopyvq.ops.similarity import WINDOW_SIZE, scale_weights_for, similarity_and_contrast

__all__ = ["aim_again"]

# Of the way to more structural similarity, where that is all that counts; and how much less then
# of the way to less squared error.
_STRUCTURE = 0.6
_LESS_SQUARED = 0.5
# Entries of which the image shows less than this share of what it shows of others weigh as much;
# and where what errors have in common is said apart, how much more that is for structure.
_LEAST_WEIGHT = 0.6
_LEAST_OF_REST, _MORE_FOR_STRUCTURE = 0.3, 0.3
# Power of the best common length of all steps: the best shares of five models lie near it.
_CAUTION = 3
_SMALLEST_CONTRAST = 1e-6  # a power of 0 has no slope


def aim_again(
    tokenizer: Tokenizer,
    pixels: UInt8[Tensor, "c H W"],
    first: Aim,
    given: DecoderInput,
    tune: str,
    side: int = TILE_SITES,
    rest_of: UInt8[Tensor, "c H W"] | None = None,
) -> Aim:
    """Find where tokens should lead, from what a first choice of them looks like.

    Args:
        tokenizer: the model.
        pixels: the image, with the model's channels.
        first: its latents, and how much an error at each site is expected to weigh.
        given: the first choice, as a reader decodes it.
        tune: what errors are weighed for, one of `TUNES`.
        side: rows and columns of a tile, in sites.
        rest_of: the first choice as it was painted, where what errors have in common over wide
            areas is said apart (`loopyvq.codec.coarse`) and ``pixels`` and latents are of the
            rest. Errors of entries that hardly show may then weigh less: they cannot add up.

    Returns:
        Latents to aim for, how much each entry weighs, and how much each site; as it was at first
        where there is nothing to learn from the image.

    References:
        Atal and Remde, "A new model of LPC excitation for producing natural-sounding speech at low
        bit rates", 1982, https://doi.org/10.1109/ICASSP.1982.1171649
    """
    similar = TUNES[tune] / max(TUNES.values()) if min(pixels.shape[1:]) >= WINDOW_SIZE else 0.0
    squared, structure = _gradients(tokenizer, pixels, given, side, structure=similar > 0)
    left = first.latents - given.z_q
    usual, shown = _answers(squared, left)
    if not usual > 0:
        return first
    least = _LEAST_WEIGHT
    if rest_of is not None:
        least = _LEAST_OF_REST + _MORE_FOR_STRUCTURE * similar
    step = squared / (usual * shown.clamp(least, 1.0))
    way, metric, importance = step - left, shown, first.importance
    if similar > 0:
        errors = left.square().sum(dim=-1)
        costs = [(slopes * left).sum(dim=-1) for slopes in (squared, structure)]
        importance = importance_as_shown(importance, errors, costs, (1 - similar, similar))
        contrast = contrast_weights(pixels, tokenizer.config.downsampling).float()
        to_structure, also_shown = _to_structure(structure / contrast.unsqueeze(-1), left)
        way = (1 - _LESS_SQUARED * similar) * way + _STRUCTURE * similar * to_structure
        metric = (1 - similar) * shown + similar * also_shown
    size = (int(pixels.shape[1]), int(pixels.shape[2]))
    before = rest_of
    if before is None:
        before = paint_in_tiles(tokenizer, given, size, side)
    after = paint_in_tiles(tokenizer, given._replace(z_q=given.z_q + step), size, side)
    share = _best_length(pixels, before, after) ** _CAUTION
    weights = metric.clamp(least, 1.0)  # what shows least may show more in the next choice
    return Aim(first.latents + share * way, weights.double().numpy(), importance)


def _best_length(
    meant: UInt8[Tensor, "c H W"], before: UInt8[Tensor, "c H W"], after: UInt8[Tensor, "c H W"]
) -> float:
    """Tell how much of a step is best for squared error, from nothing to all of it.

    Each site's step would be right if it were alone; together they go too far where many sites
    change the same pixels in the same way.
    """
    step, along, squared = rows_at_once(int(meant.shape[2])), 0, 0
    for part in zip(*(image.split(step, dim=1) for image in (meant, before, after)), strict=True):
        image, start, end = (rows.int() for rows in part)
        wanted, got = image - start, end - start
        along += int((wanted * got).sum())
        squared += int(got.square().sum())
    return min(max(along / squared, 0.0), 1.0) if squared else 0.0


def _gradients(
    tokenizer: Tokenizer,
    pixels: UInt8[Tensor, "c H W"],
    given: DecoderInput,
    side: int,
    *,
    structure: bool,
) -> tuple[Float[Tensor, "h w d"], Float[Tensor, "h w d"]]:
    """Tell where each latent should go for less squared error, and for more similarity."""
    factor, device = tokenizer.config.downsampling, tokenizer.quantizer.sigma.device
    (height, width), reach = given.lengths.shape, decoder_reach(tokenizer)
    found = torch.zeros(2, *given.z_q.shape)
    if max(height, width) > side:
        # Slopes need several times the memory that painting takes.
        side = max(side // 2, 1)
    # All pixels that a site of the middle changes must be right, and so must their other sites.
    for tile in tiles(height, width, None if reach is None else 2 * reach, side):
        rows = slice(tile.outer_top, tile.outer_bottom)
        columns = slice(tile.outer_left, tile.outer_right)
        part = given.z_q[rows, columns].to(device).unsqueeze(0).requires_grad_()
        places = given.lengths[rows, columns].to(device).unsqueeze(0)
        image = to_float(pixels[:, _in_pixels(rows, factor), _in_pixels(columns, factor)])
        meant = image.to(device).unsqueeze(0)
        with torch.enable_grad():
            seen = tokenizer.paint(part, places, given.threshold)
            seen = seen[..., : image.shape[1], : image.shape[2]]
            losses = [(seen - meant).square().sum() / 2]
            smaller = min(image.shape[1:])
            if structure and smaller >= WINDOW_SIZE:
                # Times the pixels: a tile's share in the mean is its share in the image.
                losses.append((1 - _similarity(seen, meant)).sum() * meant.numel())
            slopes = [torch.autograd.grad(loss, part, retain_graph=True)[0] for loss in losses]
        middle_rows = slice(tile.top - tile.outer_top, tile.bottom - tile.outer_top)
        middle_columns = slice(tile.left - tile.outer_left, tile.right - tile.outer_left)
        for place, slope in enumerate(slopes):
            middle = slope[0, middle_rows, middle_columns].cpu()
            found[place, tile.top : tile.bottom, tile.left : tile.right] = -middle
    return found[0], found[1]


def _similarity(
    seen: Float[Tensor, "b c H W"], meant: Float[Tensor, "b c H W"]
) -> Float[Tensor, " b"]:
    """Measure MS-SSIM but for its finest scale and for brightness.

    The finest scale counts for 4 % and takes three quarters of the time. Brightness, of each
    channel, is left to the squared error: in places of much contrast its slope, divided by what
    errors of structure count there, asks for far too much and tints them.
    """
    weights, product = scale_weights_for(min(meant.shape[2:])), seen.new_ones(len(seen))
    image, reference = seen.clamp(-1, 1), meant
    for scale, weight in enumerate(weights):
        if scale > 0:
            image, reference = F.avg_pool2d(image, 2), F.avg_pool2d(reference, 2)
        if scale > 0 or len(weights) == 1:
            _, contrast = similarity_and_contrast(_framed(image), _framed(reference), 2.0)
            product = product * contrast.clamp(min=_SMALLEST_CONTRAST).pow(weight)
    return product


def _framed(image: Float[Tensor, "b c H W"]) -> Float[Tensor, "b c H2 W2"]:
    """Mirror the image at its borders, so that windows lie around each pixel, the last one too."""
    reach = WINDOW_SIZE // 2
    return F.pad(image, (reach, reach, reach, reach), mode="reflect")


def _in_pixels(sites: slice, factor: int) -> slice:
    return slice(sites.start * factor, sites.stop * factor)


def _answers(
    slopes: Float[Tensor, "h w d"], left: Float[Tensor, "h w d"]
) -> tuple[Float[Tensor, ""], Float[Tensor, " d"]]:
    """Tell what the image shows of an error, of the median entry, and of each over that.

    Entries without errors show 1; the median is not above 0 where nothing can be learned.
    """
    answers = (slopes * left).sum(dim=(0, 1)) / left.square().sum(dim=(0, 1))
    usual = answers.nanmedian()
    return usual, (answers / usual).nan_to_num(1.0)


def _to_structure(
    slopes: Float[Tensor, "h w d"], left: Float[Tensor, "h w d"]
) -> tuple[Float[Tensor, "h w d"], Float[Tensor, " d"]]:
    """Tell how far from latents slopes lead, no further than what is left, and what they show."""
    usual, shown = _answers(slopes, left)
    if not usual > 0:
        return torch.zeros_like(left), torch.ones_like(shown)
    step = slopes / usual - shown.clamp(0.0, 1.0) * left
    limit = left.norm(dim=-1, keepdim=True)
    return step * (limit / step.norm(dim=-1, keepdim=True).clamp(min=1e-12)).clamp(max=1.0), shown
