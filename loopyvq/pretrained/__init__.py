"""Models that come with the package, by name."""

from pathlib import Path
from typing import NamedTuple

__all__ = ["DEFAULT_MODEL", "PRETRAINED", "Pretrained", "pretrained_file"]

_FOLDER = Path(__file__).parent
DEFAULT_MODEL = "photo-f8"
"""What is taken where no model is named."""


class Pretrained(NamedTuple):
    """A model in the package; its card lies beside its weights, as ``<name>.md``.

    Attributes:
        name: what to call it.
        summary: what it is for, in a line.
        data: what it was trained on, and the licence of that.
        trained_samples: those photographs of `loopyvq.data.samples`, without the endings of their
            names, that it was trained on as well.
    """

    name: str
    summary: str
    data: str
    trained_samples: tuple[str, ...] = ()

    @property
    def weights(self) -> Path:
        """The file of the model."""
        return _FOLDER / f"{self.name}.safetensors"

    @property
    def card(self) -> Path:
        """The file that says how it was made and what it can do."""
        return _FOLDER / f"{self.name}.md"


PRETRAINED = {
    model.name: model
    for model in (
        Pretrained(
            "photo-f8",
            "photographs, one site per 8 x 8 pixels, 0.6 M parameters",
            "Caltech-101 (CC BY 4.0)",
        ),
        Pretrained(
            "small-f4",
            "images of 32 to 128 pixels, one site per 4 x 4 pixels, 0.9 M parameters",
            "Caltech-101 (CC BY 4.0) and EuroSAT (MIT)",
        ),
    )
}
"""The models by name."""


def pretrained_file(name: str | Path) -> Path | None:
    """Find a model that comes with the package.

    Args:
        name: such as ``photo-f8``.

    Returns:
        Its file; None where there is no such model, or where something in the current folder has
        that name.

    Example:
        >>> pretrained_file("photo-f8").suffix
        '.safetensors'
        >>> pretrained_file("runs/first") is None
        True
    """
    found = PRETRAINED.get(str(name))
    return None if found is None or Path(name).exists() else found.weights
