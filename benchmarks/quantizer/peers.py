"""The same residual codebooks in every library: one codebook, smaller by a gain at every turn."""

import faiss
import numpy as np
import torch
from vector_quantize_pytorch import ResidualVQ

from loopyvq import LoopConfig, LoopQuantizer
from loopyvq.quantize.residual import TableCache

GAIN = 0.8


class Setting:
    """Vectors of uneven energy, codes, and the quantizers that use them.

    Args:
        rows: number of vectors.
        size: number of codes.
        width: their width.
        depth: turns.
    """

    def __init__(self, rows: int, size: int, width: int, depth: int) -> None:
        generator = torch.Generator().manual_seed(0)
        energy = torch.randn(rows, 1, generator=generator).mul(0.5).exp()
        self.vectors = torch.randn(rows, width, generator=generator) * energy
        self.codes = torch.randn(size, width, generator=generator)
        self.gains = torch.tensor(GAIN) ** torch.arange(depth)
        self.books = self.gains[:, None, None] * self.codes
        self.array = self.vectors.numpy()

    def ours(self, **options) -> LoopQuantizer:
        size, width = self.codes.shape
        config = LoopConfig(
            codebook_size=size,
            codebook_dim=width,
            max_depth=len(self.gains),
            scale="absolute",
            gain_ratio=GAIN,
            learn_gains=False,
            revive_below=0.0,
            **{"threshold": 0.0, "dummies": False, **options},
        )
        quantizer = LoopQuantizer(config).eval()
        quantizer.codebook.set(self.codes)
        return quantizer

    def fresh(self, quantizer: LoopQuantizer):
        """Encode as if the codebook were new: nothing computed ahead."""
        quantizer._tables = TableCache()
        return quantizer.encode(self.vectors)

    def vqp(self, *, training: bool = False) -> ResidualVQ:
        size, width = self.codes.shape
        quantizer = ResidualVQ(
            dim=width,
            num_quantizers=len(self.gains),
            codebook_size=size,
            rotation_trick=False,
            threshold_ema_dead_code=0,
        ).train(training)
        for layer, book in zip(quantizer.layers, self.books, strict=True):
            layer._codebook.embed.data.copy_(book.unsqueeze(0))
            layer._codebook.embed_avg.data.copy_(book.unsqueeze(0))
            layer._codebook.cluster_size.data.fill_(1)
        return quantizer

    def faiss_flat(self):
        """Search an exact index per turn."""
        indexes = []
        for book in self.books.numpy():
            index = faiss.IndexFlatL2(book.shape[1])
            index.add(np.ascontiguousarray(book))
            indexes.append((index, book))

        def encode():
            left, codes = self.array.copy(), []
            for index, book in indexes:
                _, found = index.search(left, 1)
                codes.append(found[:, 0])
                left -= book[codes[-1]]
            return np.stack(codes, axis=1)

        return encode

    def faiss_residual(self, beam: int, *, table: bool):
        """The residual quantizer of FAISS, with products per turn or with look-up tables."""
        size, width = self.codes.shape
        quantizer = faiss.ResidualQuantizer(width, len(self.gains), int(np.log2(size)))
        faiss.copy_array_to_vector(self.books.numpy().ravel(), quantizer.codebooks)
        quantizer.is_trained = True
        quantizer.max_beam_size = beam
        quantizer.use_beam_LUT = int(table)
        if table:
            quantizer.compute_codebook_tables()

        def encode():
            packed = quantizer.compute_codes(self.array)
            return unpack(packed, int(np.log2(size)), len(self.gains))

        return encode

    def exact_codes(self) -> np.ndarray:
        """Search greedily and exhaustively in float64, on float32 sums."""
        total, codes = np.zeros_like(self.array), []
        for book in self.books.numpy():
            left = self.array.astype(np.float64) - total
            exact = book.astype(np.float64)
            best = (np.square(exact).sum(axis=1) - 2 * left @ exact.T).argmin(axis=1)
            codes.append(best)
            total = total + book[best]
        return np.stack(codes, axis=1)

    def error(self, codes: np.ndarray) -> float:
        """Mean squared error of what codes decode to."""
        total = sum(book[codes[:, turn]] for turn, book in enumerate(self.books.numpy()))
        return float(np.square(self.array - total).sum(axis=1).mean())


def unpack(packed: np.ndarray, bits: int, depth: int) -> np.ndarray:
    """Read FAISS's packed codes, lowest bit first."""
    flags = np.unpackbits(packed, axis=1, bitorder="little")[:, : bits * depth]
    return flags.reshape(len(packed), depth, bits) @ (1 << np.arange(bits))
