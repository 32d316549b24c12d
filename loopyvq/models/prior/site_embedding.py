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
        ends, rows = lengths.flatten(), codes.reshape(lengths.numel(), codes.shape[-1])
        # Only tokens that ran are embedded: most sites are shorter than the longest.
        ran = torch.arange(codes.shape[-1], device=codes.device) < ends.unsqueeze(1)
        site, turn = ran.nonzero().unbind(1)
        chosen = rows[site, turn]
        marked = torch.where(chosen < 0, self.codes.num_embeddings - 1, chosen)
        embedded = self.codes(marked) * self.scales[turn]
        summed: Tensor = self.lengths(ends).index_add(0, site, embedded)
        return summed.reshape(*lengths.shape, self.lengths.embedding_dim)
