"""Names of the files that keep what was measured: they name all that the numbers depend on."""

import hashlib
import re
from pathlib import Path

import loopyvq
from loopyvq.codec import Codec
from loopyvq.codec.tables import coding_identity

# What the files of a model depend on, besides the model.
_SOURCES = ("codec", "coding", "evaluation/rd_systems.py", "metrics", "models", "ops", "quantize")
# What makes tables: these are named themselves, with the model.
_FITTING = ("codec/table_fitting.py", "coding/fit.py", "coding/training.py")


def kept_file(out: Path, source: str, what: str, parts: object, suffix: str) -> Path:
    """Name a file.

    Args:
        out: its folder.
        source: the images.
        what: was measured.
        parts: all else that it depends on; must have a telling ``repr``.
        suffix: with its dot.

    Returns:
        Its path; another one as soon as one of the parts changes.
    """
    key = hashlib.sha256(repr(parts).encode()).hexdigest()[:8]
    slug = re.sub(r"[^a-z0-9]+", "-", what.lower())
    return out / f"{Path(source).stem}-{slug}-{key}{suffix}"


def parts_of_model(codec: Codec) -> tuple[str, str]:
    """Name a model with its tables, and the code that writes and reads its files."""
    root, found = Path(loopyvq.__file__).parent, hashlib.sha256()
    for source in _SOURCES:
        here = root / source
        for path in [here] if here.is_file() else sorted(here.rglob("*.py")):
            if path.relative_to(root).as_posix() not in _FITTING:
                found.update(path.read_bytes())
    return coding_identity(codec.tokenizer, codec.tables), found.hexdigest()
