import sys

import numpy as np
import pytest
import torch

from loopyvq.data.edges import canny_edges, sobel_edges
from loopyvq.errors import DataError


def disc(channels=3):
    rows, columns = torch.meshgrid(torch.arange(40), torch.arange(50), indexing="ij")
    inside = (rows - 20) ** 2 + (columns - 25) ** 2 < 100
    return (inside * 200 + 20).to(torch.uint8).expand(channels, -1, -1)


def test_sobel_is_its_formula():
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(256, (1, 9, 7), generator=generator, dtype=torch.uint8)
    padded = np.pad(image[0].numpy().astype(float), 1, mode="edge")
    kernel = np.array([[1.0, 2, 1]]).T @ np.array([[-1.0, 0, 1]])
    expected = np.empty((9, 7))
    for row in range(9):
        for column in range(7):
            patch = padded[row : row + 3, column : column + 3]
            gx, gy = (patch * kernel).sum(), (patch * kernel.T).sum()
            expected[row, column] = 2 * min(1, np.hypot(gx, gy) / 255) - 1
    assert np.allclose(sobel_edges(image)[0].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("edges", [sobel_edges, lambda image: canny_edges(image, 1.0)])
@pytest.mark.parametrize("channels", [1, 3])
def test_edges_are_on_the_rim_of_a_disc_only(edges, channels):
    found = edges(disc(channels))
    assert found.shape == (1, 40, 50)
    assert found.dtype == torch.float32
    assert (found[0, 20, 25], found[0, 2, 2]) == (-1, -1)
    assert found[0, 20, 33:38].max() == 1
    assert -1 <= found.min() <= found.max() <= 1


def test_canny_lines_are_thin():
    found = canny_edges(disc(), 1.0)
    assert set(found.unique().tolist()) == {-1.0, 1.0}
    assert (found > 0).sum() < (sobel_edges(disc()) > 0).sum()


def test_canny_needs_scikit_image(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.feature", None)
    with pytest.raises(DataError, match=r"scikit-image, which is not installed.*choose sobel"):
        canny_edges(disc(), 2.0)
