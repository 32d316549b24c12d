"""Weights of LPIPS on disk: where they are looked for, and how the published files become them."""

import hashlib
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from loopyvq.checkpoint import load_weights
from loopyvq.errors import CheckpointError
from loopyvq.losses.perceptual import LPIPS, TRUNK_SHA256_PREFIX
from loopyvq.tensor_file import read_tensors, write_tensors

__all__ = ["WEIGHTS_FILE", "convert_lpips", "load_lpips", "packaged_heads"]

WEIGHTS_FILE = "lpips_vgg16.safetensors"
"""What the file is called within a folder of weights."""

_KIND = "lpips weights"
_FOLDER_VARIABLE = "LOOPYVQ_WEIGHTS"
_SOURCE = "https://download.pytorch.org/models/vgg16-397923af.pth"


def load_lpips(path: str | Path | None = None) -> LPIPS:
    """Build LPIPS with its weights.

    Args:
        path: the file that `convert_lpips` wrote, or a folder that holds it; by default the folder
            that the variable LOOPYVQ_WEIGHTS names, or ``weights`` here.

    Returns:
        The distance, frozen.

    Raises:
        CheckpointError: there is no such file, or it is damaged or something else.
    """
    place = Path(path or os.environ.get(_FOLDER_VARIABLE) or "weights")
    file = place / WEIGHTS_FILE if place.is_dir() or not place.suffix else place
    if not file.is_file():
        raise CheckpointError(
            f"there are no weights for LPIPS at {file}: download {_SOURCE} and run 'loopyvq "
            f"weights convert vgg16-{TRUNK_SHA256_PREFIX}.pth --out {file}', or choose "
            f"--perceptual.kind pyramid, which needs none and measures something else"
        )
    distance = LPIPS()
    load_weights(distance, read_tensors(file, _KIND).tensors, file)
    return distance.eval()


def convert_lpips(
    trunk: str | Path,
    out: str | Path,
    heads: str | Path | None = None,
    sha256_prefix: str = TRUNK_SHA256_PREFIX,
) -> Path:
    """Trim the published files to what LPIPS needs, as one safetensors file of 59 MB.

    Args:
        trunk: torchvision's weights of VGG16.
        out: the file to write, or a folder for it.
        heads: the linear heads; by default those that torchmetrics brings along.
        sha256_prefix: how the SHA-256 of the trunk's file must begin; it is checked before
            anything in the file is looked at.

    Returns:
        The file.

    Raises:
        CheckpointError: a file is missing, another one than expected, damaged, or lacks weights.
    """
    trunk, out = Path(trunk), Path(out)
    out = out if out.suffix else out / WEIGHTS_FILE
    found = _sha256(trunk)
    if not sha256_prefix or not found.startswith(sha256_prefix.lower()):
        raise CheckpointError(
            f"{trunk} is not the file that is meant: its SHA-256 begins {found[:8]}, not "
            f"{sha256_prefix}; download {_SOURCE} again"
        )
    heads = Path(heads) if heads else packaged_heads()
    tensors = _pick(_read(trunk), _trunk_names(), trunk) | _pick(_read(heads), _head_names(), heads)
    load_weights(LPIPS(), tensors, trunk)  # refuses other shapes
    write_tensors(out, _KIND, tensors, trunk_sha256=found, heads_sha256=_sha256(heads))
    return out


def packaged_heads() -> Path:
    """Find the linear heads within torchmetrics, without importing it.

    Raises:
        CheckpointError: torchmetrics is not installed or brings none.
    """
    found = importlib.util.find_spec("torchmetrics")
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder) / "functional" / "image" / "lpips_models" / "vgg.pth"
        if path.is_file():
            return path
    raise CheckpointError(
        "the linear heads come with torchmetrics, which is not installed: "
        "pip install 'loopyvq[eval]', or give their file with --heads"
    )


def _trunk_names() -> dict[str, str]:
    """Give our names by those in torchvision's file."""
    names = LPIPS().state_dict()
    return {name.removeprefix("trunk."): name for name in names if name.startswith("trunk.")}


def _head_names() -> dict[str, str]:
    return {f"lin{index}.model.1.weight": f"heads.{index}" for index in range(5)}


def _pick(
    tensors: Mapping[str, Tensor], names: Mapping[str, str], source: Path
) -> dict[str, Tensor]:
    missing = sorted(names.keys() - tensors.keys())
    if missing:
        raise CheckpointError(f"{source} lacks {missing[0]} and {len(missing) - 1} others")
    return {ours: tensors[theirs].float() for theirs, ours in names.items()}


def _read(path: Path) -> dict[str, Tensor]:
    """Read a file of tensors by name; torch refuses anything else in it."""
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch runs into in a damaged file
        raise CheckpointError(f"{path} is damaged or no file of weights by torch.save") from error
    named = isinstance(values, dict) and all(isinstance(item, Tensor) for item in values.values())
    if not named:
        raise CheckpointError(f"{path} holds something else than weights by name")
    return dict(values)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
