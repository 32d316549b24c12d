"""The codecs that share EnCodec's layout: rows stand along time, ``1 d n``, codes in layers."""

import torch
from torch import Tensor, nn

from adapters.base import Adapter, Output, features
from adapters.skeleton import import_alone

_FRAME_RATE = 50


class _Codec(Adapter):
    """Averages per turn; the number of turns is a setting of the call or of the module."""

    features = features("forward averages turns start revival deep double module")

    def module_class(self) -> type[nn.Module]:
        raise NotImplementedError

    def options(self) -> dict:
        return {
            "kmeans_init": self.start,
            "threshold_ema_dead_code": 2 if self.revive else 0,
        }

    def build(self) -> None:
        decay = {} if self.decay is None else {"decay": self.decay}
        self.inner = self.module_class()(
            dimension=self.width, n_q=self.depth, bins=self.size, **decay, **self.options()
        )

    def layers(self) -> list[nn.Module]:
        return [layer._codebook for layer in self.inner.vq.layers]

    def forward(
        self, z: Tensor, mask: Tensor | None = None, turns: int | Tensor | None = None
    ) -> Output:
        self.inner.set_num_codebooks(self.depth if turns is None else turns)
        found = self.inner(z.T[None], _FRAME_RATE)
        return Output(found.x[0].T, found.codes[0].T, found.penalty)

    @torch.no_grad()
    def encode(self, z: Tensor) -> Tensor:
        return self.inner.encode(z.T[None])[0].T

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        return self.inner.decode(codes.T[None])[0].T

    def codebooks(self) -> Tensor:
        return torch.stack([layer.embed.clone() for layer in self.layers()])

    @torch.no_grad()
    def set_codebooks(self, books: Tensor) -> None:
        for layer, book in zip(self.layers(), books, strict=True):
            layer.embed.copy_(book)
            layer.embed_avg.copy_(book)
            layer.inited.fill_(1)

    @torch.no_grad()
    def make_dead(self, code: int, place: Tensor) -> None:
        layer = self.layers()[0]
        layer.embed[code] = place
        layer.cluster_size[code] = 1e-3
        layer.embed_avg[code] = 1e-3 * place


class Encodec(_Codec):
    """``encodec.quantization.ResidualVectorQuantizer``."""

    label = "EnCodec"
    distribution = "encodec"

    def module_class(self) -> type[nn.Module]:
        return import_alone("encodec.quantization", "encodec").ResidualVectorQuantizer

    def _bandwidth(self, turns: int) -> float:
        return (turns + 0.5) * self.inner.get_bandwidth_per_quantizer(_FRAME_RATE)

    def forward(
        self, z: Tensor, mask: Tensor | None = None, turns: int | Tensor | None = None
    ) -> Output:
        bandwidth = None if turns is None else self._bandwidth(turns)
        found = self.inner(z.T[None], _FRAME_RATE, bandwidth)
        return Output(found.quantized[0].T, found.codes[:, 0].T, found.penalty)

    @torch.no_grad()
    def encode(self, z: Tensor) -> Tensor:
        return self.inner.encode(z.T[None], _FRAME_RATE)[:, 0].T

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        return self.inner.decode(codes.T[:, None])[0].T


class Audiocraft(_Codec):
    """``audiocraft.quantization.ResidualVectorQuantizer``."""

    label = "AudioCraft"
    distribution = "audiocraft"

    def module_class(self) -> type[nn.Module]:
        import_alone("flashy.distrib", "flashy", "dora")
        return import_alone("audiocraft.quantization", "audiocraft").ResidualVectorQuantizer


class Moshi(_Codec):
    """``moshi.quantization.ResidualVectorQuantizer``, both halves of its split quantizer."""

    label = "Moshi"
    distribution = "moshi"
    features = _Codec.features | {"freeze"}

    def module_class(self) -> type[nn.Module]:
        return import_alone("moshi.quantization", "moshi").ResidualVectorQuantizer

    def options(self) -> dict:
        return {} if self.revive else {"threshold_usage_ratio": 0.0}

    def build(self) -> None:
        super().build()
        if not self.start:
            for layer in self.layers():
                layer._initialized.fill_(1)

    def codebooks(self) -> Tensor:
        return torch.stack([layer.embedding.clone() for layer in self.layers()])

    @torch.no_grad()
    def set_codebooks(self, books: Tensor) -> None:
        for layer, book in zip(self.layers(), books, strict=True):
            layer.embedding_sum.copy_(book * layer.cluster_usage[:, None])
            layer._embedding = None
            layer._initialized.fill_(1)

    @torch.no_grad()
    def make_dead(self, code: int, place: Tensor) -> None:
        layer = self.layers()[0]
        layer.cluster_usage[code] = 1e-3
        layer.embedding_sum[code] = 1e-3 * place
        layer._embedding = None

    def freeze(self) -> None:
        self.inner.ema_frozen_(True)
