"""What codes mean: the vectors that a tokenizer adds up to the latent of a site."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

__all__ = ["CodeVectors"]


class CodeVectors(nn.Module):
    """Remember what a code adds at every turn, in units in which latents have a norm of about 1.

    All zeros until `set` is called, or until weights are loaded.

    Args:
        max_depth: largest length of a site.
        codebook_size: number of codes.
        dim: width of the vectors.

    Example:
        >>> vectors = CodeVectors(max_depth=2, codebook_size=1, dim=1)
        >>> vectors.set(torch.tensor([[[2.0]], [[1.0]]]))
        >>> vectors.sums(torch.tensor([[0, 0], [1, 0]])).tolist()
        [[[2.0], [3.0]], [[0.0], [1.0]]]
    """

    def __init__(self, max_depth: int, codebook_size: int, dim: int) -> None:
        super().__init__()
        self.codebook_size = codebook_size
        # The last row is CONTINUE, which adds nothing.
        self.register_buffer("books", torch.zeros(max_depth, codebook_size + 1, dim))
        self.books: Tensor

    def set(self, books: Float[Tensor, "l k d"]) -> None:
        """Take the vectors of a tokenizer.

        Args:
            books: what each code adds at each turn; turns beyond those of the prior are left out.
        """
        turns = len(self.books)
        self.books.zero_()
        self.books[:, : self.codebook_size] = books[:turns]

    def of_turn(self, symbols: Int[Tensor, " n"], turn: int) -> Float[Tensor, "n d"]:
        """Give what symbols add at one turn.

        Args:
            symbols: codes; ``codebook_size`` is CONTINUE.
            turn: counted from 0.

        Returns:
            Their vectors.
        """
        return self.books[turn][symbols]

    def sums(self, symbols: Int[Tensor, "n l"]) -> Float[Tensor, "n l d"]:
        """Give where a site stands after each turn.

        Args:
            symbols: codes; ``codebook_size`` stands for what adds nothing.

        Returns:
            Partial sums.
        """
        turns = torch.arange(symbols.shape[1], device=symbols.device)
        return self.books[turns, symbols].cumsum(dim=1)
