"""``loopyvq weights``: weights of other people's networks that losses use."""

import argparse
from collections.abc import Sequence

_EXAMPLES = """\
examples:
  loopyvq weights convert vgg16-397923af.pth --out weights
  loopyvq weights convert vgg16-397923af.pth --heads vgg.pth --out weights/lpips_vgg16.safetensors

VGG16 comes from https://download.pytorch.org/models/vgg16-397923af.pth (528 MB; 59 MB remain), its
linear heads come with torchmetrics. Training finds the result in the folder `weights`, in the one
that LOOPYVQ_WEIGHTS names, or where --perceptual.weights says.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    parser.add_argument("action", choices=("convert",), help="convert: make the weights of LPIPS")
    parser.add_argument("source", metavar="FILE", help="VGG16 as torchvision publishes it")
    parser.add_argument("--heads", metavar="FILE", help="the heads (default: torchmetrics' own)")
    parser.add_argument(
        "--out", default="weights", metavar="PATH", help="file or folder (default: %(default)s)"
    )
    parser.add_argument(
        "--sha256",
        metavar="PREFIX",
        help="how the SHA-256 of FILE begins, for a trunk of your own (default: the published one)",
    )


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Convert weights."""
    from loopyvq.losses.perceptual import TRUNK_SHA256_PREFIX
    from loopyvq.training.perceptual_weights import convert_lpips

    prefix = arguments.sha256 or TRUNK_SHA256_PREFIX
    print(convert_lpips(arguments.source, arguments.out, arguments.heads, prefix))
