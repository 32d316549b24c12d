"""What a process that reads for another one could not read, said as if it were the same process."""

from collections.abc import Iterator
from typing import Any

from loopyvq.errors import LoopyVQError

__all__ = ["with_plain_errors"]


def with_plain_errors(batches: Iterator[Any]) -> Iterator[Any]:
    """Pass batches on, and an error of a worker without the traceback that torch puts into it.

    Args:
        batches: of a data loader, with or without workers.

    Yields:
        The batches.

    Raises:
        LoopyVQError: one was raised where they are read; the message is its own.
    """
    try:
        yield from batches
    except LoopyVQError as error:
        name = f"{type(error).__module__}.{type(error).__qualname__}"
        told = str(error.args[0]) if error.args else ""
        _, start, message = told.rpartition(f"\n{name}: ")
        if not start:
            raise
        raise type(error)(message.strip()) from error
