import pytest
import torch

from loopyvq.tokens import CONTINUE, PAD


@pytest.fixture
def literal_pull():
    """The pull as it was first written down, one vector and one turn after the other.

    As documented, the last turn that is allowed emits the code even where it is still too far.
    """

    def pull(vectors, codebook, threshold, step_size, max_depth):
        position, codes = vectors.double().clone(), codebook.double()
        tokens = torch.full((len(vectors), max_depth), PAD)
        going = torch.ones(len(vectors), dtype=torch.bool)
        for turn in range(max_depth):
            offset = codes - position.unsqueeze(1)
            distance, nearest = offset.square().sum(dim=2).sqrt().min(dim=1)
            close = (distance <= threshold) | (turn == max_depth - 1)
            tokens[going, turn] = torch.where(close, nearest, CONTINUE)[going]
            going = going & ~close
            position += step_size * (codes[nearest] - position)
        return tokens

    return pull
