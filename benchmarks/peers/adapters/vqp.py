"""vector-quantize-pytorch: `VectorQuantize` with averages, and `ResidualVQ`."""

import torch
from torch import Tensor, nn
from vector_quantize_pytorch import ResidualVQ, VectorQuantize

from adapters.base import Adapter, Output, features


class _Vqp(Adapter):
    """What both share; straight-through, since a rotated gradient is another design."""

    distribution = "vector-quantize-pytorch"

    def options(self) -> dict:
        options = {
            "dim": self.width,
            "codebook_size": self.size,
            "rotation_trick": False,
            "kmeans_init": self.start,
            "threshold_ema_dead_code": 2 if self.revive else 0,
        }
        if self.decay is not None:
            options["decay"] = self.decay
        if self.learning == "gradient":
            options |= {"learnable_codebook": True, "ema_update": False}
        return options

    def turns_of(self) -> list[VectorQuantize]:
        raise NotImplementedError

    def codebooks(self) -> Tensor:
        return torch.stack([turn.codebook.detach().clone() for turn in self.turns_of()])

    @torch.no_grad()
    def set_codebooks(self, books: Tensor) -> None:
        for turn, book in zip(self.turns_of(), books, strict=True):
            turn.codebook = book

    def codebook_parameters(self) -> list[nn.Parameter]:
        return [turn._codebook.embed for turn in self.turns_of()]

    @torch.no_grad()
    def make_dead(self, code: int, place: Tensor) -> None:
        codebook = self.turns_of()[0]._codebook
        codebook.embed[0, code] = place
        codebook.cluster_size[0, code] = 1e-3
        codebook.embed_avg[0, code] = 1e-3 * place

    def freeze(self) -> None:
        self.requires_grad_(False)
        for turn in self.turns_of():
            turn.freeze_codebook = True


class Vqp(_Vqp):
    """``VectorQuantize``."""

    label = "vqp VQ"
    features = features("forward averages gradient mask start revival freeze double pad module")

    def build(self) -> None:
        self.inner = VectorQuantize(**self.options())

    def turns_of(self) -> list[VectorQuantize]:
        return [self.inner]

    def forward(
        self, z: Tensor, mask: Tensor | None = None, turns: int | Tensor | None = None
    ) -> Output:
        shown = None if mask is None else mask[None]
        z_q, codes, loss = self.inner(z[None], mask=shown)
        return Output(z_q[0], codes[0, :, None], loss.sum())

    def decode(self, codes: Tensor) -> Tensor:
        return self.inner.get_output_from_indices(codes[None, :, 0])[0]

    def accumulate(self, parts: list[Tensor]) -> None:
        for part in parts[:-1]:
            self.inner(part[None], accum_ema_update=True)
        self.inner(parts[-1][None])


class VqpResidual(_Vqp):
    """``ResidualVQ``; its decoder takes prefixes only with quantizer dropout."""

    label = "vqp RVQ"
    features = features(
        "forward averages gradient mask start revival freeze shared deep double pad module"
    )

    def build(self) -> None:
        self.inner = ResidualVQ(
            num_quantizers=self.depth,
            shared_codebook=self.shared,
            quantize_dropout=self.prefixes,
            **self.options(),
        )

    def turns_of(self) -> list[VectorQuantize]:
        return list(self.inner.layers)

    def forward(
        self, z: Tensor, mask: Tensor | None = None, turns: int | Tensor | None = None
    ) -> Output:
        shown = None if mask is None else mask[None]
        z_q, codes, losses = self.inner(
            z[None], mask=shown, freeze_codebook=self.inner.layers[0].freeze_codebook
        )
        return Output(z_q[0], codes[0], losses.sum())

    def decode(self, codes: Tensor) -> Tensor:
        return self.inner.get_output_from_indices(codes[None])[0]
