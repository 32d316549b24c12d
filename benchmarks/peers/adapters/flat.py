"""FAISS: exact search with one `IndexFlatL2` per turn; no training, no forward pass."""

import faiss
import numpy as np
import torch
from torch import Tensor

from adapters.base import Adapter, Output


class Faiss(Adapter):
    """The subtraction between the turns is ours, in float32."""

    label = "FAISS"
    distribution = "faiss-cpu"
    features = frozenset(["deep"])

    def build(self) -> None:
        self.indices = [faiss.IndexFlatL2(self.width) for _ in range(self.depth)]

    def forward(
        self, z: Tensor, mask: Tensor | None = None, turns: int | Tensor | None = None
    ) -> Output:
        codes = self.encode(z)
        return Output(self.decode(codes), codes, torch.zeros(()))

    def encode(self, z: Tensor) -> Tensor:
        faiss.omp_set_num_threads(torch.get_num_threads())
        left = np.ascontiguousarray(z.detach().numpy(), dtype=np.float32)
        found = []
        for index in self.indices:
            found.append(index.search(left, 1)[1][:, 0])
            left = left - index.reconstruct_batch(found[-1])
        return torch.from_numpy(np.stack(found, axis=1))

    def decode(self, codes: Tensor) -> Tensor:
        rows = codes.numpy()
        parts = zip(self.indices, rows.T, strict=False)
        steps = [index.reconstruct_batch(np.ascontiguousarray(row)) for index, row in parts]
        return torch.from_numpy(np.sum(steps, axis=0, dtype=np.float32))

    def codebooks(self) -> Tensor:
        books = [index.reconstruct_n(0, index.ntotal) for index in self.indices]
        return torch.from_numpy(np.stack(books))

    def set_codebooks(self, books: Tensor) -> None:
        for index, book in zip(self.indices, books, strict=True):
            index.reset()
            index.add(book.numpy())
