"""Our own quantizer: `loop`, and `residual_vq` where every site must get every turn."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from adapters.base import Adapter, Output, features
from loopyvq import __version__
from loopyvq.quantize import QUANTIZERS
from loopyvq.tokens import PAD, Tokens


class Loopy(Adapter):
    """``QUANTIZERS["loop"]`` at threshold 0; gains halve so that the known codebooks fit."""

    label = "loopyvq"
    distribution = "loopyvq"
    features = features(
        "forward averages gradient turns per_site mask start revival freeze shared norm stop deep "
        "double pad spelling pull module"
    )

    @classmethod
    def version(cls) -> str:
        return __version__

    def build(self) -> None:
        options = {} if self.decay is None else {"ema_decay": self.decay}
        if not self.start:
            options |= {"scale": "absolute", "gain_ratio": 0.5, "learn_gains": False}
        if not self.revive:
            options["revive_below"] = 0.0
        if not self.fixed_depth:
            options["threshold"] = 0.0
        self.inner = QUANTIZERS["residual_vq" if self.fixed_depth else "loop"](
            codebook_size=self.size,
            codebook_dim=self.width,
            max_depth=self.depth,
            codebook_update={"averages": "ema", "gradient": "gradient"}[self.learning],
            **options,
        )

    def forward(
        self, z: Tensor, mask: Tensor | None = None, turns: int | Tensor | None = None
    ) -> Output:
        found = self.inner(z, depth=turns, mask=mask)
        return Output(found.z_q, found.codes, found.loss, found.residual_norm)

    def encode(self, z: Tensor) -> Tensor:
        return self.inner.encode(z).codes

    def decode(self, codes: Tensor) -> Tensor:
        return self.inner.decode(Tokens(codes, (codes != PAD).sum(dim=-1)))

    @torch.no_grad()
    def codebooks(self) -> Tensor:
        gains = self.inner.gains()[:, None, None]
        return (gains * self.inner.codebook.weight * self.inner.sigma).clone()

    def set_codebooks(self, books: Tensor) -> None:
        self.inner.codebook.set(books[0])

    def codebook_parameters(self) -> list[nn.Parameter]:
        return [self.inner.codebook.weight]

    @torch.no_grad()
    def make_dead(self, code: int, place: Tensor) -> None:
        codebook = self.inner.codebook
        codebook.weight[code] = place / self.inner.sigma
        codebook.usage[code] = 0.0
        codebook.mass[code] = 1e-3
        codebook.sums[code] = 1e-3 * codebook.weight[code]

    def freeze(self) -> None:
        self.inner.freeze()

    @contextmanager
    def one_step(self) -> Iterator[None]:
        self.inner.automatic_update = False
        yield
        self.inner.update()
        self.inner.automatic_update = True
