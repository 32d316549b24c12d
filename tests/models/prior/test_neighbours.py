import torch

from loopyvq.models.prior.neighbours import Neighbours


def test_places_are_predecessors_within_the_grid():
    places = Neighbours(4).places((3, 4), torch.device("cpu"))
    # left, up left, up, up right, second left, second up
    assert places[0].tolist() == [-1] * 6
    assert places[4].tolist() == [-1, -1, 0, 1, -1, -1]
    assert places[7].tolist() == [6, 2, 3, -1, 5, -1]
    assert places[10].tolist() == [9, 5, 6, 7, 8, 2]
    assert bool((places < torch.arange(12).unsqueeze(1)).all())


def test_what_is_not_there_says_nothing():
    neighbours = Neighbours(4)
    places = neighbours.places((2, 2), torch.device("cpu"))
    content = torch.randn(2, 3, 4)
    with torch.no_grad():
        found = neighbours(content, places)
    assert torch.equal(found[:, 0], torch.zeros(2, 4))
    expected = neighbours.mix.weight[:, :4] @ content[0, 0]  # only the left one
    assert torch.allclose(found[0, 1], expected, atol=1e-6)


def test_directions_are_told_apart():
    neighbours = Neighbours(4)
    places = neighbours.places((2, 2), torch.device("cpu"))
    content = torch.randn(1, 1, 4).repeat(1, 3, 1)
    with torch.no_grad():
        found = neighbours(content, places)[0]
    assert len(found.unique(dim=0)) == 4
