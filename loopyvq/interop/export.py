"""Quantizers for programs without this package: `torch.export` and ONNX.

What is exported compares in float64 at every turn, without a branch on data: the same codes, more
slowly. Any number of rows goes in.
"""

import copy
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loopyvq.quantize import LoopQuantizer
from loopyvq.tokens import PAD, Tokens

__all__ = ["Decode", "Encode", "export_onnx"]


class _FixedGains(nn.Module):
    """Gains as numbers: another program's sigmoid may round in another way."""

    values: Tensor

    def __init__(self, values: Float[Tensor, " l"]) -> None:
        super().__init__()
        self.register_buffer("values", values.detach().clone())

    def forward(self) -> Float[Tensor, " l"]:
        return self.values


def _alone(quantizer: LoopQuantizer) -> LoopQuantizer:
    """Copy a quantizer into a form that computes the same anywhere."""
    if quantizer.beam_size > 1 or quantizer.priced_codes:
        raise ValueError(
            "a beam search cannot be exported: set beam_size = 1, priced_codes = False"
        )
    alone = copy.deepcopy(quantizer).eval()
    alone.gains = _FixedGains(quantizer.gains())  # type: ignore[assignment]
    return alone


class Encode(nn.Module):
    """Latents and a threshold to codes and lengths.

    Args:
        quantizer: copied as it is.

    Raises:
        ValueError: the quantizer searches with a beam, which cannot be exported.
    """

    def __init__(self, quantizer: LoopQuantizer) -> None:
        super().__init__()
        self.quantizer = _alone(quantizer)

    def forward(
        self, z_e: Float[Tensor, "n d"], threshold: Float[Tensor, ""]
    ) -> tuple[Int[Tensor, "n l"], Int[Tensor, " n"]]:
        """Encode rows; see `LoopQuantizer.encode`."""
        tokens = self.quantizer.encode(z_e, threshold)
        return tokens.codes, tokens.lengths


class Decode(nn.Module):
    """Codes to latents; codes are not checked, so they must be in range.

    Args:
        quantizer: copied as it is.
    """

    def __init__(self, quantizer: LoopQuantizer) -> None:
        super().__init__()
        self.quantizer = _alone(quantizer)

    def forward(self, codes: Int[Tensor, "n l"]) -> Float[Tensor, "n d"]:
        """Decode rows; see `LoopQuantizer.decode`."""
        return self.quantizer.decode(Tokens(codes, (codes != PAD).sum(dim=1)))


def export_onnx(quantizer: LoopQuantizer, folder: str | Path) -> tuple[Path, Path]:
    """Write ``encode.onnx`` and ``decode.onnx``.

    ``encode`` takes ``z_e`` (``n d``, float32) and ``threshold`` (a float32 number) and gives
    ``codes`` (``n l``) and ``lengths`` (``n``); ``decode`` takes ``codes`` and gives ``z_q``. In
    onnxruntime the codes are those of this package, the latents equal to the last bit.

    Args:
        quantizer: the quantizer; it is not changed.
        folder: where to; made if it is not there.

    Returns:
        The paths of both files.

    Raises:
        ImportError: the packages of the extra ``onnx`` are not installed.
        ValueError: the quantizer searches with a beam, which cannot be exported.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    z_e, threshold = torch.zeros(2, quantizer.config.codebook_dim), torch.tensor(0.5)
    codes = torch.full((2, quantizer.max_depth), PAD)
    rows = torch.export.Dim("rows")
    encode, decode = folder / "encode.onnx", folder / "decode.onnx"
    _write(Encode(quantizer), (z_e, threshold), encode, ["z_e", "threshold"], ["codes", "lengths"],
           ({0: rows}, None))  # fmt: skip
    _write(Decode(quantizer), (codes,), decode, ["codes"], ["z_q"],
           ({0: rows},))  # fmt: skip
    return encode, decode


def _write(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    path: Path,
    input_names: list[str],
    output_names: list[str],
    shapes: tuple[object, ...],
) -> None:
    program = torch.onnx.export(
        module,
        inputs,
        dynamo=True,
        verbose=False,
        input_names=input_names,
        output_names=output_names,
        dynamic_shapes=shapes,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    program.save(path)
