"""descript-audio-codec: `ResidualVectorQuantize`, its projections set to the identity."""

import torch
from torch import Tensor, nn

from adapters.base import Adapter, Output, features
from adapters.skeleton import import_alone


class Dac(Adapter):
    """Learned by gradient, searched by cosine; loss weights as in its training configuration."""

    label = "DAC"
    distribution = "descript-audio-codec"
    features = features("forward gradient deep freeze double module")
    metric = "cosine"

    def build(self) -> None:
        self.inner = import_alone("dac.nn.quantize", "dac", "dac.nn").ResidualVectorQuantize(
            self.width, self.depth, self.size, self.width
        )
        with torch.no_grad():
            for turn in self.inner.quantizers:
                for projection in (turn.in_proj, turn.out_proj):
                    projection.weight_v.copy_(torch.eye(self.width)[:, :, None])
                    projection.weight_g.fill_(1.0)
                    projection.bias.zero_()

    def forward(
        self, z: Tensor, mask: Tensor | None = None, turns: int | Tensor | None = None
    ) -> Output:
        z_q, codes, _, commitment, codebook = self.inner(z.T[None])
        return Output(z_q[0].T, codes[0].T, 0.25 * commitment + codebook)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        return self.inner.from_codes(codes.T[None])[0][0].T

    def twin(self) -> "Dac":
        """Its weight norm cannot be copied after a pass, so build a new one and load the state."""
        fresh = Dac(self.size, self.width, self.depth)
        fresh.load_state_dict(self.state_dict())
        return fresh.train(self.training)

    def codebooks(self) -> Tensor:
        return torch.stack([book.detach().clone() for book in self.codebook_parameters()])

    @torch.no_grad()
    def set_codebooks(self, books: Tensor) -> None:
        for parameter, book in zip(self.codebook_parameters(), books, strict=True):
            parameter.copy_(book)

    def codebook_parameters(self) -> list[nn.Parameter]:
        return [turn.codebook.weight for turn in self.inner.quantizers]
