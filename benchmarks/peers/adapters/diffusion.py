"""diffusers: the `VectorQuantizer` of its VQ autoencoder, as that autoencoder builds it."""

import torch
from diffusers.models.autoencoders.vae import VectorQuantizer
from torch import Tensor, nn

from adapters.base import Adapter, Output, features


class Diffusers(Adapter):
    """One turn, learned by gradient."""

    label = "diffusers"
    distribution = "diffusers"
    features = features("forward gradient freeze double module")

    def build(self) -> None:
        self.inner = VectorQuantizer(self.size, self.width, beta=0.25, legacy=False)

    def forward(
        self, z: Tensor, mask: Tensor | None = None, turns: int | Tensor | None = None
    ) -> Output:
        z_q, loss, (_, _, codes) = self.inner(z.T[None, :, :, None])
        return Output(z_q[0, :, :, 0].T, codes[:, None], loss)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        shape = (1, codes.shape[0], 1, self.width)
        return self.inner.get_codebook_entry(codes[:, 0], shape)[0, :, :, 0].T

    def codebooks(self) -> Tensor:
        return self.inner.embedding.weight.detach().clone()[None]

    @torch.no_grad()
    def set_codebooks(self, books: Tensor) -> None:
        self.inner.embedding.weight.copy_(books[0])

    def codebook_parameters(self) -> list[nn.Parameter]:
        return [self.inner.embedding.weight]
