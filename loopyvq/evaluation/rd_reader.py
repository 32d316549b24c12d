"""Decode files in a process of its own, which knows nothing but the files and the models.

    parent --["model", "file"]--> child --{"shape": [3, 512, 768]} and the pixels--> parent

One such process serves a whole run: starting one per file would take seconds each.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from loopyvq.codec import Codec
from loopyvq.errors import BitstreamError, LoopyVQError

__all__ = ["FreshReader", "serve"]


class FreshReader:
    """A process that decodes, to be used in a ``with`` block; started by the first file.

    Args:
        device: where it runs the networks.
    """

    def __init__(self, device: str = "cpu") -> None:
        self._words = [sys.executable, "-m", "loopyvq.evaluation.rd_reader", device]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "FreshReader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.communicate()  # closes its input, which ends it

    def read(self, model: Path, file: Path) -> UInt8[Tensor, "c H W"]:
        """Decode a file.

        Args:
            model: path of the tokenizer; loaded once.
            file: what `Codec.compress` wrote.

        Returns:
            8-bit pixels.

        Raises:
            BitstreamError: it cannot be decoded, or the process has died.
        """
        if self._process is None:
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(self._words, stdin=pipe, stdout=pipe)
        pipes = self._process.stdin, self._process.stdout
        if pipes[0] is None or pipes[1] is None:
            raise BitstreamError("the decoding process has no pipes")
        try:
            pipes[0].write(json.dumps([str(model), str(file)]).encode() + b"\n")
            pipes[0].flush()
            line = pipes[1].readline()
        except BrokenPipeError:
            line = b""
        answer = json.loads(line or '{"error": "the decoding process has died"}')
        if "error" in answer:
            raise BitstreamError(f"{file}: {answer['error']}")
        count = int(np.prod(answer["shape"]))
        pixels = np.frombuffer(bytearray(pipes[1].read(count)), np.uint8)
        return torch.from_numpy(pixels).view(*answer["shape"])


def serve(requests: Iterable[bytes], device: str = "cpu") -> Iterator[bytes]:
    """Answer requests until there are no more.

    Args:
        requests: one line of JSON each.
        device: where to run the networks.

    Yields:
        A line of JSON each, and the pixels.
    """
    codecs: dict[str, Codec] = {}
    for line in requests:
        model, file = json.loads(line)
        try:
            if model not in codecs:
                codecs[model] = Codec.load(model, device)
            image = codecs[model].decompress(Path(file).read_bytes())
        except (LoopyVQError, OSError) as error:
            yield json.dumps({"error": str(error)}).encode() + b"\n"
            continue
        head = json.dumps({"shape": list(image.shape)}).encode()
        yield head + b"\n" + image.contiguous().numpy().tobytes()


if __name__ == "__main__":
    for answer in serve(sys.stdin.buffer, sys.argv[1]):
        sys.stdout.buffer.write(answer)
        sys.stdout.buffer.flush()
