"""Read a pickle that can build plain values and tensors, and nothing else.

A pickle is a program for a small stack machine; two of its instructions call what they are told
to. This machine has no way to import or to call anything: the few names that checkpoints need are
marks that its own code knows how to build, and every other name ends the reading.

References:
    ``pickletools`` of the Python standard library documents every instruction.
"""

import pickletools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from loopyvq.errors import CheckpointError

__all__ = ["StoredTensor", "read_pickle"]

_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_REBUILD = "torch._utils _rebuild_tensor_v2"
_PARAMETER = "torch._utils _rebuild_parameter"
_DICTIONARY = "collections OrderedDict"
_BUILDERS = {_REBUILD, _PARAMETER, _DICTIONARY}
# Names that taming's checkpoints use as keys; they stay names.
_INERT = ("pytorch_lightning.callbacks.",)
_VALUES = (
    {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
    | {"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
    | {"STRING", "BINSTRING", "SHORT_BINSTRING"}
)
_CONSTANTS: dict[str, object] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NOTHING = ("PROTO", "FRAME")


class StoredTensor(NamedTuple):
    """A tensor whose values have not been read yet.

    Attributes:
        key: the name of its storage within the file.
        dtype: the type of its values.
        storage_size: values in the storage.
        offset: where the tensor begins in it.
        shape: its sizes.
        strides: values from one position to the next along each axis.
    """

    key: str
    dtype: torch.dtype
    storage_size: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Name(NamedTuple):
    """A name in the file; nothing is behind it."""

    text: str


class _Storage(NamedTuple):
    key: str
    dtype: torch.dtype
    size: int


class _StopError(Exception):
    """The program has ended."""


_MARK = object()


def read_pickle(blob: bytes, source: object) -> Any:
    """Run the program of a pickle, as far as it builds plain values and tensors.

    Args:
        blob: the pickle.
        source: the file it comes from, for the message.

    Returns:
        Dicts, lists, tuples, numbers, texts and `StoredTensor`.

    Raises:
        CheckpointError: the pickle is damaged, or it wants something else.
    """
    machine = _Machine(source)
    try:
        for opcode, argument, _ in pickletools.genops(blob):
            machine.step(opcode.name, argument)
    except _StopError:
        return machine.result()
    except CheckpointError:
        raise
    except Exception as error:  # whatever a damaged program runs into
        raise CheckpointError(f"{source} is damaged: its pickle cannot be read") from error
    raise CheckpointError(f"{source} is damaged: its pickle has no end")


class _Machine:
    """The stack, the memory, and what each instruction does with them."""

    def __init__(self, source: object) -> None:
        self.source = source
        self.stack: list[Any] = []
        self.memory: dict[int, Any] = {}
        self.actions: dict[str, Callable[[], None]] = {
            "MARK": lambda: self.stack.append(_MARK),
            "EMPTY_DICT": lambda: self.stack.append({}),
            "EMPTY_LIST": lambda: self.stack.append([]),
            "EMPTY_TUPLE": lambda: self.stack.append(()),
            "TUPLE": lambda: self.stack.append(tuple(self._since_mark())),
            "LIST": lambda: self.stack.append(self._since_mark()),
            "DICT": lambda: self.stack.append(_pairs(self._since_mark())),
            "TUPLE1": lambda: self.stack.append(self._take(1)),
            "TUPLE2": lambda: self.stack.append(self._take(2)),
            "TUPLE3": lambda: self.stack.append(self._take(3)),
            "APPEND": lambda: self._append([self.stack.pop()]),
            "APPENDS": lambda: self._append(self._since_mark()),
            "SETITEM": lambda: self._set_items(list(self._take(2))),
            "SETITEMS": lambda: self._set_items(self._since_mark()),
            "BINPERSID": self._load_storage,
            "REDUCE": self._reduce,
            "BUILD": self._build,
            "MEMOIZE": lambda: self.memory.__setitem__(len(self.memory), self.stack[-1]),
            "STACK_GLOBAL": lambda: self._name(" ".join(self._take(2))),
        }

    def step(self, name: str, argument: Any) -> None:
        """Do one instruction."""
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self.memory[argument] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            self.stack.append(self.memory[argument])
        elif name == "GLOBAL":
            self._name(argument)
        elif name == "STOP":
            raise _StopError
        elif name in self.actions:
            self.actions[name]()
        elif name not in _NOTHING:
            raise self._refuse(f"the pickle instruction {name}")

    def result(self) -> Any:
        """Give what is left at the end."""
        if len(self.stack) != 1 or self.stack[0] is _MARK:
            raise CheckpointError(f"{self.source} is damaged: its pickle gives no single value")
        return self.stack[0]

    def _refuse(self, what: str) -> CheckpointError:
        return CheckpointError(
            f"{self.source} is refused: it asks for {what}, and a checkpoint needs only tensors"
        )

    def _name(self, text: str) -> None:
        """Put a known name onto the stack."""
        module, _, name = text.partition(" ")
        storage = module in ("torch", "torch.storage") and name in _DTYPES
        if not storage and text not in _BUILDERS and not text.startswith(_INERT):
            raise self._refuse(f"{module}.{name}")
        self.stack.append(_Name(text))

    def _reduce(self) -> None:
        """Build what a known name stands for."""
        builder, arguments = self._take(2)
        match (builder, arguments):
            case (_Name(text), ()) if text == _DICTIONARY:
                self.stack.append({})
            case (_Name(text), (list() as pairs,)) if text == _DICTIONARY:
                self.stack.append(_pairs([item for key, value in pairs for item in (key, value)]))
            case (_Name(text), (StoredTensor() as tensor, *_)) if text == _PARAMETER:
                self.stack.append(tensor)
            case (_Name(text), (_Storage() as storage, offset, shape, strides, *_)) if (
                text == _REBUILD
            ):
                self.stack.append(_tensor(storage, offset, shape, strides))
            case (_Name(text), _):
                raise self._refuse(f"a call of {text.replace(' ', '.')}")
            case _:
                raise self._refuse("a call")

    def _build(self) -> None:
        """Drop the attributes of a dict, such as the versions that torch notes; allow no other."""
        target, state = self._take(2)
        if not isinstance(target, dict) or not isinstance(state, dict):
            raise self._refuse("the state of an object")
        self.stack.append(target)

    def _load_storage(self) -> None:
        """Turn a reference to a file's storage into a mark."""
        match self.stack.pop():
            case ("storage", _Name(text), str() as key, str(), int() as size):
                dtype = _DTYPES.get(text.partition(" ")[2])
                if dtype is not None and size >= 0:
                    self.stack.append(_Storage(key, dtype, size))
                    return
        raise self._refuse("something outside of the pickle")

    def _take(self, count: int) -> tuple[Any, ...]:
        taken = tuple(self.stack[-count:])
        if len(taken) != count or _MARK in taken:
            raise CheckpointError(f"{self.source} is damaged: its pickle runs out of values")
        del self.stack[-count:]
        return taken

    def _since_mark(self) -> list[Any]:
        start = len(self.stack) - 1
        while self.stack[start] is not _MARK:
            start -= 1
        taken = self.stack[start + 1 :]
        del self.stack[start:]
        return taken

    def _append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise self._refuse("something to be appended to")
        target.extend(values)

    def _set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise self._refuse("something to be filled")
        target.update(_pairs(items))


def _pairs(items: list[Any]) -> dict[Any, Any]:
    """Make a dict; keys are plain, as the hash of nested tuples can take for ever."""
    keys = items[::2]
    if not all(isinstance(key, str | int | float | _Name) for key in keys):
        raise ValueError("a key that is neither a text nor a number")
    return dict(zip(keys, items[1::2], strict=True))


def _tensor(storage: _Storage, offset: Any, shape: Any, strides: Any) -> StoredTensor:
    """Describe a tensor; sizes that are no whole numbers of a sensible range are damage."""
    sizes, steps = tuple(map(int, shape)), tuple(map(int, strides))
    if len(sizes) != len(steps) or min((int(offset), *sizes, *steps)) < 0:
        raise ValueError("no shape")
    return StoredTensor(storage.key, storage.dtype, storage.size, int(offset), sizes, steps)
