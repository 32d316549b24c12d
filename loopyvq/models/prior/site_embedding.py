"""What a site's tokens say, as one feature vector for the sites after it."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

__all__ = ["SiteEmbedding"]


class SiteEmbedding(nn.Module):
    """Add up the embeddings of a site's tokens, each scaled by its turn, and that of its length.

    A residual code adds the less, the later its turn; the scales begin like that.

    Args:
        codebook_size: number of codes.
        max_depth: largest length.
        width: width of the features.
    """

    def __init__(self, codebook_size: int, max_depth: int, width: int) -> None:
        super().__init__()
        self.codes = nn.Embedding(codebook_size + 1, width)  # the last row is CONTINUE
        self.lengths = nn.Embedding(max_depth + 1, width)
        self.scales = nn.Parameter((0.75 ** torch.arange(max_depth)).unsqueeze(1).repeat(1, width))
        for table in (self.codes, self.lengths):
            nn.init.normal_(table.weight, std=0.02)

    def forward(
        self, codes: Int[Tensor, "*sites l"], lengths: Int[Tensor, "*sites"]
    ) -> Float[Tensor, "*sites d"]:
        """Embed sites.

        Args:
            codes: as in `Tokens`.
            lengths: as in `Tokens`.

        Returns:
            One vector per site.
        """
        depth = codes.shape[-1]
        ran = torch.arange(depth, device=codes.device) < lengths.unsqueeze(-1)
        marked = torch.where(codes < 0, self.codes.num_embeddings - 1, codes)
        embedded = self.codes(marked) * self.scales[:depth] * ran.unsqueeze(-1)
        summed: Tensor = embedded.sum(dim=-2) + self.lengths(lengths)
        return summed
