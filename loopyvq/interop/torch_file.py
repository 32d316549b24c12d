"""Read and write what ``torch.save`` writes, without running anything that stands in the file."""

import io
import math
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from loopyvq.errors import CheckpointError
from loopyvq.interop.restricted_pickle import StoredTensor, read_pickle
from loopyvq.tensor_file import write_atomically

__all__ = ["TorchFile", "write_torch_file"]

# What zipfile and torch raise over damaged or strange files.
_DAMAGE = (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError, struct.error)


class TorchFile:
    """A file of ``torch.save``: its values at once, its tensors when they are asked for.

    Args:
        path: the file, of the zip format that torch writes since 1.6.

    Attributes:
        values: dicts, lists, numbers and `StoredTensor`.

    Raises:
        CheckpointError: the file is missing, damaged, of the older format, or its pickle wants
            something else than tensors.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise CheckpointError(f"there is no file {self.path}")
        blob = self._read_pickle_blob()
        self.values: Any = read_pickle(blob, self.path)

    def tensors(self, stored: Mapping[Any, Any]) -> dict[str, Tensor]:
        """Read tensors.

        Args:
            stored: tensors by name, as they stand in ``values``.

        Returns:
            Tensors on the CPU, each with memory of its own.

        Raises:
            CheckpointError: a name is no text, a value no tensor, or a storage is missing,
                truncated or smaller than its tensor.
        """
        found: dict[str, Tensor] = {}
        try:
            with zipfile.ZipFile(self.path) as archive:
                for name, tensor in stored.items():
                    if not isinstance(name, str) or not isinstance(tensor, StoredTensor):
                        raise CheckpointError(f"{self.path}: {name} is no tensor")
                    found[name] = self._read_tensor(archive, name, tensor)
        except _DAMAGE as error:
            raise CheckpointError(f"{self.path} is damaged: {error}") from error
        return found

    def _read_pickle_blob(self) -> bytes:
        try:
            with zipfile.ZipFile(self.path) as archive:
                names = [name for name in archive.namelist() if name.count("/") == 1]
                pickles = [name for name in names if name.endswith("/data.pkl")]
                if len(pickles) != 1:
                    raise CheckpointError(f"{self.path} is no file of torch.save")
                self._root = pickles[0].removesuffix("data.pkl")
                if f"{self._root}byteorder" in names:
                    order = archive.read(f"{self._root}byteorder")
                    if order != b"little":
                        raise CheckpointError(f"{self.path} holds big-endian numbers: save it anew")
                return self._read(archive, pickles[0])
        except _DAMAGE as error:
            raise CheckpointError(
                f"{self.path} is truncated, damaged or no zip file of torch.save "
                f"(torch before 1.6 wrote another format: load and save it there)"
            ) from error

    def _read(self, archive: zipfile.ZipFile, name: str) -> bytes:
        """Read a member that is stored as it is: nothing can blow up."""
        info = archive.getinfo(name)
        if info.compress_type != zipfile.ZIP_STORED:
            raise CheckpointError(f"{self.path} is no file of torch.save: {name} is compressed")
        return archive.read(info)

    def _read_tensor(self, archive: zipfile.ZipFile, name: str, stored: StoredTensor) -> Tensor:
        count = math.prod(stored.shape)
        reach = sum(
            (size - 1) * step for size, step in zip(stored.shape, stored.strides, strict=True)
        )
        fits = count == 0 or stored.offset + reach < stored.storage_size
        if not fits or count > stored.storage_size:
            raise CheckpointError(f"{self.path} is damaged: {name} is larger than its storage")
        if count == 0:
            return torch.zeros(stored.shape, dtype=stored.dtype)
        num_bytes = stored.storage_size * stored.dtype.itemsize
        try:
            blob = self._read(archive, f"{self._root}data/{stored.key}")
        except KeyError as error:
            raise CheckpointError(f"{self.path} is damaged: {name} has no values") from error
        if len(blob) != num_bytes:
            raise CheckpointError(f"{self.path} is damaged: {name} lacks values")
        flat = torch.frombuffer(bytearray(blob), dtype=stored.dtype)
        return flat.as_strided(stored.shape, stored.strides, stored.offset).clone(
            memory_format=torch.contiguous_format
        )


def write_torch_file(path: Path, values: Mapping[str, Any]) -> None:
    """Write values as ``torch.save`` does, whole or not at all.

    Args:
        path: where to.
        values: numbers, texts, and ordered dicts of tensors.

    Raises:
        CheckpointError: the file cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(dict(values), buffer)
    write_atomically(path, buffer.getvalue())
