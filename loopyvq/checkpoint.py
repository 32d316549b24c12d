"""Models on disk: one safetensors file each, its config as JSON inside."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from loopyvq.config import config_changes, config_to_dict, parse_config
from loopyvq.data.token_source import TokenSource
from loopyvq.errors import CheckpointError, ConfigError
from loopyvq.models import ARCHITECTURES, Tokenizer
from loopyvq.models.priors import PRIORS, upgraded
from loopyvq.ops.allowance import Allowance
from loopyvq.pretrained import DEFAULT_MODEL, pretrained_file
from loopyvq.tensor_file import Saved, read_tensors, write_tensors

__all__ = [
    "CODING_PREFIX",
    "build_saved",
    "load_prior",
    "load_tokenizer",
    "load_tokenizer_of",
    "load_weights",
    "model_identity",
    "prior_file",
    "prior_source",
    "save_prior",
    "save_tokenizer",
    "tokenizer_file",
]

CODING_PREFIX = "coding."
"""Names of tensors that belong to the entropy coder and to no network."""

ConfigT = TypeVar("ConfigT")
ModuleT = TypeVar("ModuleT", bound=nn.Module)

# What a config of arbitrary values makes of the classes that read it.
_UNREADABLE = (ConfigError, KeyError, TypeError, ValueError, OverflowError)


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], source: str | Path) -> None:
    """Load weights whose names and shapes must be the module's own.

    Args:
        module: where to.
        tensors: by name.
        source: the file they come from, for the message.

    Raises:
        CheckpointError: a name is missing or unknown or a shape differs; nothing is loaded then.
    """
    own = module.state_dict()
    missing, unknown = own.keys() - tensors.keys(), tensors.keys() - own.keys()
    for what, names in (("lacks", missing), ("also has", unknown)):
        if names:
            listed = ", ".join(sorted(names)[:3]) + (", ..." if len(names) > 3 else "")
            raise CheckpointError(f"{source} does not fit its config: it {what} {listed}")
    for name, tensor in own.items():
        if tensor.shape != tensors[name].shape:
            raise CheckpointError(
                f"{source} does not fit its config: {name} is {tuple(tensors[name].shape)}, "
                f"expected {tuple(tensor.shape)}"
            )
    module.load_state_dict(dict(tensors))


def build_saved(
    model: Callable[[Any], ModuleT], config_class: type[Any], saved: Saved, source: str | Path
) -> ModuleT:
    """Build the model that a file describes, without its weights.

    Args:
        model: makes it of a config.
        config_class: of that config.
        saved: what the file holds; a config that asks for far more is refused before it is met.
        source: the file, for the message.

    Returns:
        The model, as it begins.

    Raises:
        CheckpointError: there is no config that can be read and met.
    """
    try:
        config = _parse_saved(config_class, saved.header["config"])
        with Allowance(saved.tensors):
            return model(config)
    except _UNREADABLE as error:
        raise CheckpointError(
            f"{source} has a config that this loopyvq cannot read: {error}"
        ) from error


def _parse_saved(config_class: type[ConfigT], values: object) -> ConfigT:
    if not isinstance(values, Mapping):
        raise ConfigError(f"it must be a mapping of options, got {values!r}")
    return parse_config(config_class, values)


def save_tokenizer(path: str | Path, tokenizer: Tokenizer, **notes: Any) -> None:
    """Write a tokenizer.

    Args:
        path: where to.
        tokenizer: the model.
        notes: values that JSON can hold, such as the step it was saved at.

    Raises:
        CheckpointError: the file cannot be written.
    """
    config = config_to_dict(tokenizer.config)
    header = {"architecture": tokenizer.architecture, "config": config, "notes": notes}
    write_tensors(Path(path), "tokenizer", tokenizer.state_dict(), **header)


def tokenizer_file(path: str | Path) -> Path:
    """Find the file of a tokenizer.

    Args:
        path: the file itself, a folder as for `load_tokenizer`, or the name of a model that comes
            with the package.

    Returns:
        The file, which may be missing.
    """
    shipped = pretrained_file(path)
    if shipped is not None:
        return shipped
    path = Path(path)
    if not path.is_dir():
        return path
    found = [path / f"{name}.safetensors" for name in ("best", "last", "model")]
    return next((file for file in found if file.is_file()), found[0])


def load_tokenizer(
    path: str | Path = DEFAULT_MODEL, device: str | torch.device = "cpu"
) -> Tokenizer:
    """Read a tokenizer.

    Args:
        path: a file that `save_tokenizer` wrote, the folder of a training run, whose best model
            is taken, the folder of a converted model, or the name of one that comes with the
            package (`loopyvq.pretrained`).
        device: where to put it.

    Returns:
        The tokenizer, in evaluation mode.

    Raises:
        CheckpointError: the file is missing, damaged or does not fit its own config.
    """
    path = tokenizer_file(path)
    tensors, header = read_tensors(path, "tokenizer")
    tensors = {name: item for name, item in tensors.items() if not name.startswith(CODING_PREFIX)}
    architecture = str(header.get("architecture", "loopy"))  # older files have no other
    if architecture not in ARCHITECTURES:
        raise CheckpointError(
            f"{path} has the architecture {architecture}; this loopyvq knows "
            f"{', '.join(ARCHITECTURES)}: install a newer one"
        )
    saved = Saved(tensors, header)
    tokenizer = build_saved(Tokenizer, ARCHITECTURES[architecture], saved, path)
    load_weights(tokenizer, tensors, path)
    return tokenizer.to(device).eval()


def save_prior(
    path: str | Path, prior: nn.Module, source: TokenSource | None = None, **notes: Any
) -> None:
    """Write a prior.

    Args:
        path: where to.
        prior: the model, of one of the kinds in `PRIORS`.
        source: where the tokens come from that it was trained on.
        notes: values that JSON can hold.

    Raises:
        CheckpointError: the file cannot be written.
        TypeError: the model is no prior.
    """
    names = [name for name, kind in PRIORS.items() if type(prior) is kind.model]
    if not names:
        raise TypeError(f"{type(prior).__name__} is none of the priors {', '.join(PRIORS)}")
    header = {"architecture": names[0], "config": config_to_dict(prior.config), "notes": notes}
    if source is not None:
        header["source"] = config_to_dict(source)
    write_tensors(Path(path), "prior", prior.state_dict(), **header)


def prior_file(path: str | Path) -> Path:
    """Find the file of a prior.

    Args:
        path: the file itself, the folder of a training run, or that of a converted model.

    Returns:
        The file, which may be missing.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    found = [path / f"{name}.safetensors" for name in ("prior", "best", "last")]
    return next((file for file in found if file.is_file()), found[0])


def load_prior(path: str | Path, device: str | torch.device = "cpu") -> Any:
    """Read a prior.

    Args:
        path: a file that `save_prior` wrote, the folder of a training run, whose best model is
            taken, or the folder of a converted model.
        device: where to put it.

    Returns:
        The prior, one of `PRIORS`, in evaluation mode.

    Raises:
        CheckpointError: the file is missing, damaged or does not fit its own config.
    """
    path = prior_file(path)
    saved = read_tensors(path, "prior")
    architecture = str(saved.header.get("architecture"))
    if architecture not in PRIORS:
        raise CheckpointError(
            f"{path} has a config that this loopyvq cannot read: its architecture is {architecture}"
        )
    kind = PRIORS[architecture]
    prior = build_saved(kind.model, kind.config, saved, path)
    load_weights(prior, upgraded(saved.tensors, prior), path)
    return prior.to(device).eval()


def prior_source(path: str | Path) -> TokenSource | None:
    """Tell what a prior was trained on.

    Args:
        path: as for `load_prior`.

    Returns:
        Where its tokens came from; None for a converted model, which does not know.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    path = prior_file(path)
    header = read_tensors(path, "prior").header
    if "source" not in header:
        return None
    try:
        return _parse_saved(TokenSource, header["source"])
    except _UNREADABLE as error:
        raise CheckpointError(f"{path} does not say where its tokens come from: {error}") from error


def load_tokenizer_of(
    path: str | Path, tokenizer: str | Path | None = None, device: str | torch.device = "cpu"
) -> Tokenizer:
    """Read the tokenizer that a prior's tokens belong to.

    Args:
        path: the prior, as for `load_prior`.
        tokenizer: where the tokenizer is; by default where it was when the prior was trained.
        device: where to put it.

    Returns:
        The tokenizer, in evaluation mode.

    Raises:
        CheckpointError: it cannot be read, or is another one than that of the prior.
    """
    source = prior_source(path)
    if source is None:
        if tokenizer is None:
            raise CheckpointError(f"{path} does not know its tokenizer: name it")
        return load_tokenizer(tokenizer, device)
    file = tokenizer_file(tokenizer or source.tokenizer_file(prior_file(path).parent))
    if tokenizer is None and not file.is_file():
        raise CheckpointError(
            f"the tokenizer of {path} is no longer at {file}: name it (identity {source.tokenizer})"
        )
    loaded = load_tokenizer(file, device)
    if model_identity(loaded) != source.tokenizer:
        raise CheckpointError(
            f"{file} is the tokenizer {model_identity(loaded)}; the tokens of {path} are those of "
            f"{source.tokenizer}"
        )
    return loaded


def model_identity(model: Any, further: Mapping[str, Tensor] | None = None) -> str:
    """Name a model by what it is: tokens can only be decoded by the model that made them.

    Args:
        model: a tokenizer or a prior.
        further: tensors that a reader must also have, by name.

    Returns:
        16 hexadecimal digits of the SHA-256 of its options that differ from the defaults, so that
        options added later change nothing, and of its weights.
    """
    changes = json.dumps(config_changes(model.config), sort_keys=True)
    digest = hashlib.sha256(changes.encode())
    for name, tensor in sorted({**model.state_dict(), **(further or {})}.items()):
        kind = str(tensor.dtype).removeprefix("torch.")
        digest.update(f"{name} {kind} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy())
    return digest.hexdigest()[:16]
