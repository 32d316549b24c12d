"""``loopyvq pretokenize``: an image set to shards of tokens, for training a prior."""

import argparse
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from loopyvq.cli.options import add_device, add_model, add_stop, add_strict, load_model
from loopyvq.cli.wishes import read_known
from loopyvq.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from loopyvq.data import ImageSet
    from loopyvq.data.token_shards import TokenShards
    from loopyvq.models import Tokenizer
    from loopyvq.pretokenize import KnownConfig, Prices, StopRule

TAKES_OPTIONS = True

_EXAMPLES = """\
examples:
  loopyvq pretokenize runs/first --data photos.zip --size 256 --out shards/photos
  loopyvq pretokenize runs/first --data eurosat.zip --mean-length 2 --condition class \\
      --views 2 --out shards/eurosat
  loopyvq pretokenize runs/first --data eurosat.zip --threshold 0.3 --condition class \\
      --priced-by runs/prior --effort 1 --out shards/priced
  loopyvq pretokenize runs/facades --data facades.zip --size 256 --condition segmentation \\
      --condition.half right --condition.labels.palette cmp_facades \\
      --condition.labels.num_labels 12 --out shards/facades
  loopyvq pretokenize runs/facades --data facades.zip --size 256 --condition boxes \\
      --condition.half right --condition.labels.palette cmp_facades \\
      --condition.labels.num_labels 12 --condition.boxes.num_boxes 16 --out shards/boxes
  loopyvq pretokenize runs/first --data photos/ --size 256 --condition edges \\
      --condition-tokenizer runs/edges --out shards/edges

Every image gives its middle square, mirrored with --views 2, and random crops beyond that. A run
that was killed goes on where it was when the same command is given again. Options of a condition
have dotted names (--condition.factor 8); docs/data.md lists them.
"""
_PROBED_IMAGES = 256
_BAR_WIDTH = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    add_model(parser)
    parser.add_argument(
        "--data", required=True, metavar="IMAGES", help="images, as for `loopyvq train`"
    )
    parser.add_argument("--out", default="shards", metavar="DIR", help="default: %(default)s")
    _add_stops(parser)
    _add_views(parser)
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images")
    parser.add_argument(
        "--images-per-shard",
        type=int,
        default=4096,
        metavar="N",
        help="what a kill costs at most (default: 4096)",
    )
    parser.add_argument(
        "--batch-size", type=int, default=64, metavar="N", help="views at once (default: 64)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random crops")
    add_device(parser)
    add_strict(parser)


def _add_stops(parser: argparse.ArgumentParser) -> None:
    """Let the command choose when a site has enough tokens, and which."""
    wish = parser.add_mutually_exclusive_group()
    wish.add_argument(
        "--threshold", type=float, metavar="T", help="stop distance (default: the model's own)"
    )
    wish.add_argument(
        "--quality", type=float, metavar="Q", help="1 (few tokens) to 100 (many), in its place"
    )
    wish.add_argument(
        "--mean-length", type=float, metavar="N", help="find the threshold for N tokens per site"
    )
    wish.add_argument("--psnr", type=float, metavar="DB", help="find the threshold for a mean PSNR")
    wish.add_argument(
        "--pooled-psnr",
        type=float,
        metavar="DB",
        help="the same for the PSNR of all images' mean squared error",
    )
    wish.add_argument("--depth", type=int, metavar="N", help="give every site N tokens")
    add_stop(parser)
    prices = parser.add_mutually_exclusive_group()
    prices.add_argument(
        "--in-context",
        action="store_true",
        help="choose codes and stops by what they cost with the model's tables: some 10 ms per "
        "image, and fewer bits for the same quality",
    )
    prices.add_argument(
        "--priced-by",
        metavar="PRIOR",
        help="choose codes and stops by what they cost under a prior of such tokens, for one that "
        "will learn them: it takes fewer bits for the same quality",
    )
    parser.add_argument(
        "--tune",
        choices=("psnr", "balanced", "ms_ssim"),
        help="with --in-context or --priced-by: how much errors in busy places and images weigh; "
        "psnr: as anywhere; ms_ssim: less, as the eye sees less of them; balanced: in between "
        "(default: psnr)",
    )
    parser.add_argument(
        "--weigh",
        type=float,
        default=0.0,
        metavar="T",
        help="with --depth: choose codes so, as at this threshold (default: the nearest)",
    )
    parser.add_argument(
        "--effort",
        type=int,
        default=0,
        metavar="N",
        help="with --in-context or --priced-by: look N times at each image as the decoder paints "
        "it, and choose its tokens anew (default: %(default)s)",
    )


def _add_views(parser: argparse.ArgumentParser) -> None:
    """Let the command choose what is cut of the images, and what is told of it."""
    parser.add_argument(
        "--size", type=int, metavar="N", help="pixels along each side (default: the images' own)"
    )
    parser.add_argument(
        "--views", type=int, default=1, metavar="N", help="2: also mirrored; more: random crops"
    )
    parser.add_argument(
        "--min-scale", type=float, default=1.0, metavar="S", help="strongest shrinking of crops"
    )
    parser.add_argument("--condition", default="none", metavar="KIND", help="what a prior is told")
    parser.add_argument(
        "--condition-tokenizer", default="", metavar="MODEL", help="model whose codes say it"
    )
    parser.add_argument(
        "--condition-cells", type=int, default=1, metavar="N", help="labels along a site's side"
    )


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Write shards and say what is in them."""
    from tqdm import tqdm

    from loopyvq.data.fingerprint import fingerprint_of
    from loopyvq.data.token_shards import ShardPlan, open_token_shards
    from loopyvq.pretokenize import ImageTokens, Known, pretokenize, square_side

    _require_sense(arguments)
    tokenizer = load_model(arguments)
    known = read_known(
        arguments.condition, options, arguments.condition_tokenizer, arguments.condition_cells
    )
    images = _open(arguments, known, tokenizer)
    size = arguments.size or square_side(images)
    prices = _prices(arguments, tokenizer, images, size)
    stop = _stop(arguments, tokenizer, images, size, prices)
    to_tokens = ImageTokens(tokenizer, stop, Known.load(known, tokenizer), prices)
    plan = ShardPlan(
        source=to_tokens.source(images, size, arguments.model, arguments.out),
        data=str(arguments.data),
        num_images=len(images),
        views=arguments.views,
        size=size,
        min_scale=arguments.min_scale,
        seed=arguments.seed,
        images_per_shard=arguments.images_per_shard,
        images=fingerprint_of(images),
    )
    with tqdm(total=len(images), unit="image", leave=False, disable=None) as bar:
        done = pretokenize(
            images,
            to_tokens,
            plan,
            arguments.out,
            batch_size=arguments.batch_size,
            on_images=bar.update,
        )
    if done:
        print(f"{done} of {plan.num_shards} shards were there already")
    print(describe_shards(open_token_shards(arguments.out)))
    if images.broken:
        print(f"{len(images.broken)} broken images were skipped")


def describe_shards(shards: "TokenShards") -> str:
    """Say what is in shards.

    Args:
        shards: the tokens.

    Returns:
        Several lines.
    """
    from loopyvq.pretokenize import summarise

    found, plan, source = summarise(shards), shards.plan, shards.source
    tune = "" if source.tune == "psnr" else f", for {source.tune}"
    looks = f", effort {source.effort}" if source.effort else ""
    rule = "" if source.stop == "threshold" else f" ({source.stop}{tune}{looks})"
    lines = [
        f"{found.num_images} images in {plan.num_shards} shards, {source.height} x {source.width} "
        f"pixels, {source.rows} x {source.columns} sites, tokenizer {source.tokenizer}",
        f"threshold {source.threshold:g}{rule}, lengths {source.min_length} to {source.max_depth}, "
        f"{source.codebook_size} codes, condition {source.condition}",
        f"{found.num_tokens} tokens, {found.tokens_per_image:.1f} per image, "
        f"{found.tokens_per_site:.2f} per site",
        f"{found.rate_bpp:.4f} bits per pixel by an adaptive code, {found.stop_bpp:.4f} of them "
        f"for lengths",
        "sites by length:",
    ]
    most = max(1, *found.length_histogram)
    for length, count in enumerate(found.length_histogram):
        lines.append(
            f"  {length:<3} {count:>10}  {'#' * round(_BAR_WIDTH * count / most)}".rstrip()
        )
    if found.classes:
        lines.append("tokens per site by class:")
    for item in found.classes:
        lines.append(f"  {item.name:<24} {item.tokens_per_site:6.2f}  {item.num_images} images")
    return "\n".join(lines)


def _open(
    arguments: argparse.Namespace, known: "KnownConfig", tokenizer: "Tokenizer"
) -> "ImageSet":
    from loopyvq.data import Subset, open_conditioned_set

    channels = tokenizer.config.image_channels
    images = open_conditioned_set(
        arguments.data, known.data, channels=channels, strict=arguments.strict
    )
    if arguments.limit is None:
        return images
    return Subset(images, range(min(arguments.limit, len(images))))


def _require_sense(arguments: argparse.Namespace) -> None:
    """Refuse numbers out of range, and options that say nothing beside others."""
    if arguments.batch_size < 1 or (arguments.limit is not None and arguments.limit < 1):
        raise ConfigError("--batch-size and --limit must be at least 1")
    if arguments.size is not None and arguments.size < 1:
        raise ConfigError(f"--size must be at least 1, got {arguments.size}")
    if arguments.effort < 0 or not 0 <= arguments.weigh < math.inf:
        raise ConfigError("--effort and --weigh must be 0 or more")
    chosen, fixed = arguments.in_context or arguments.priced_by, arguments.depth is not None
    for name in ("tune", "effort"):
        if getattr(arguments, name) and (not chosen or fixed):
            raise ConfigError(f"--{name} is for --in-context or --priced-by, of sites that may end")
    for name in ("in_context", "stop", "min_length"):
        if getattr(arguments, name) and fixed:
            option = name.replace("_", "-")
            raise ConfigError(f"--{option} is for sites that may end: leave it or --depth out")
    if arguments.weigh and not fixed:
        raise ConfigError("--weigh is for --depth; codes of sites that may end: --in-context")
    if arguments.priced_by and fixed and not arguments.weigh:
        raise ConfigError("--priced-by with --depth needs --weigh: at which threshold to price")


def _prices(
    arguments: argparse.Namespace, tokenizer: "Tokenizer", images: "ImageSet", size: int
) -> "Prices | None":
    """Load what is asked for prices, if anything is."""
    from loopyvq.checkpoint import load_prior, load_tokenizer_of, prior_source
    from loopyvq.codec import load_tables
    from loopyvq.models.prior.site_prior import SitePrior

    if not arguments.priced_by:
        return load_tables(arguments.model) if arguments.in_context or arguments.weigh else None
    load_tokenizer_of(arguments.priced_by, arguments.model)  # refuses the prior of another model
    prior = load_prior(arguments.priced_by, tokenizer.quantizer.sigma.device)
    if not isinstance(prior, SitePrior):
        raise ConfigError(f"{arguments.priced_by} is no prior of sites and depth: it has no prices")
    source, told = prior_source(arguments.priced_by), arguments.condition
    if source is not None and told not in ("none", source.condition):
        raise ConfigError(f"{arguments.priced_by} was told {source.condition}, not {told}")
    if source is not None and told == "class" and source.class_names != images.class_names:
        raise ConfigError(
            f"{arguments.priced_by} knows the classes {', '.join(source.class_names)}; those of "
            f"{arguments.data} are {', '.join(images.class_names)}"
        )
    sites, known = -(-size // tokenizer.config.downsampling), prior.config
    if sites > min(known.rows, known.columns):
        raise ConfigError(
            f"{arguments.priced_by} knows up to {known.rows} x {known.columns} sites, images of "
            f"{size} pixels have {sites} x {sites}: choose a smaller --size"
        )
    return prior


def _stop(
    arguments: argparse.Namespace,
    tokenizer: "Tokenizer",
    images: "ImageSet",
    size: int,
    prices: "Prices | None",
) -> "StopRule":
    from loopyvq.codec.rate_control import threshold_of_quality
    from loopyvq.models.prior.site_prior import SitePrior
    from loopyvq.pretokenize import StopRule, default_stop, stop_for_length, stop_for_psnr

    if arguments.depth is not None:
        fixed = StopRule(0.0, arguments.depth, weigh=arguments.weigh)
        return fixed._replace(rule="prior") if arguments.priced_by else fixed
    usual = default_stop(tokenizer)._replace(effort=arguments.effort, tune=arguments.tune or "psnr")
    if arguments.in_context:
        usual = usual._replace(rule="in_context")
    if isinstance(prices, SitePrior):  # which may know fewer turns than the model
        usual = usual._replace(rule="prior", depth=min(usual.depth, prices.config.max_depth))
    if arguments.mean_length is not None:
        probe = _probe(tokenizer, images, size, arguments.batch_size)
        return stop_for_length(tokenizer, probe, arguments.mean_length, usual, prices)
    pooled = arguments.pooled_psnr is not None
    psnr_db = arguments.pooled_psnr if pooled else arguments.psnr
    if psnr_db is not None:
        probe = _probe(tokenizer, images, size, arguments.batch_size)
        return stop_for_psnr(tokenizer, probe, psnr_db, usual, prices, pooled=pooled)
    if arguments.quality is not None:
        return usual._replace(threshold=threshold_of_quality(arguments.quality))
    return usual if arguments.threshold is None else usual._replace(threshold=arguments.threshold)


def _probe(
    tokenizer: "Tokenizer", images: "ImageSet", size: int, batch_size: int
) -> "Iterator[Tensor]":
    """Cut the middle of some images from all parts of the set."""
    import torch

    from loopyvq.data import Subset, to_float
    from loopyvq.data.transforms import centre_place, cut

    channels = tokenizer.config.image_channels
    step = -(-len(images) // _PROBED_IMAGES)
    crops = []
    for _, planes in Subset(images, range(0, len(images), step)).images():
        image = planes[:channels]
        crops.append(to_float(cut(image, centre_place(image.shape[1], image.shape[2]), size)))
    device = tokenizer.quantizer.sigma.device
    for first in range(0, len(crops), batch_size):
        yield torch.stack(crops[first : first + batch_size]).to(device)
