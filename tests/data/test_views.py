import pickle

import pytest
import torch

from loopyvq.data import BrokenImageError, ImageSet, Subset, cached, split
from loopyvq.errors import DataError


class Numbers(ImageSet):
    def __init__(self, number, bad=(), **options):
        super().__init__(channels=1, **options)
        self.number, self.bad, self.num_reads = number, bad, 0

    def __len__(self):
        return self.number

    def key(self, index):
        return str(index)

    def label(self, index):
        return index % 3

    def read(self, index):
        self.num_reads += 1
        if index in self.bad:
            raise BrokenImageError(self.key(index), "it is bad")
        return torch.full((1, 2, 2), index, dtype=torch.uint8)


def test_subset():
    part = Subset(Numbers(9), [7, 2])
    assert (len(part), part.key(0), part.label(1), part.channels) == (2, "7", 2, 1)
    assert part.read(0).unique().tolist() == [7]
    with pytest.raises(ValueError, match="0 to 8, got 9"):
        Subset(Numbers(9), [9])


def test_subset_counts_its_own_broken_images_and_inherits_strict():
    numbers = Numbers(5, bad=(1, 2))
    part = Subset(numbers, [0, 1])
    assert len(list(part.images())) == 1
    assert part.broken == {"1": "it is bad"}
    assert numbers.broken == {}
    with pytest.raises(BrokenImageError):
        list(Subset(Numbers(5, bad=(1,), strict=True), [1]).images())


def test_split_is_deterministic_disjoint_and_complete():
    training, validation = split(Numbers(50), 12, seed=3)
    keys = [training.key(i) for i in range(38)], [validation.key(i) for i in range(12)]
    assert sorted(keys[0] + keys[1], key=int) == [str(i) for i in range(50)]
    again = split(Numbers(50), 12, seed=3)
    assert [again[1].key(i) for i in range(12)] == keys[1]
    other = split(Numbers(50), 12, seed=4)
    assert [other[1].key(i) for i in range(12)] != keys[1]
    assert len(split(Numbers(2), 0, seed=0)[1]) == 0


@pytest.mark.parametrize("num_validation", [5, 6, -1])
def test_split_must_leave_training_images(num_validation):
    with pytest.raises(DataError, match="of 5 images for validation: choose 0 to 4"):
        split(Numbers(5), num_validation, seed=0)


def test_cache_reads_once_until_full():
    numbers = Numbers(3)
    images = cached(numbers, max_bytes=8)
    for _ in range(3):
        assert [image.unique().item() for _, image in images.images()] == [0, 1, 2]
    assert numbers.num_reads == 2 + 3
    assert (images.key(2), images.label(2), len(images)) == ("2", 2, 3)


def test_cache_survives_writing_and_is_left_behind_by_pickle():
    images = cached(Numbers(1), max_bytes=100)
    images.read(0).fill_(9)
    images.read(0).fill_(9)
    assert images.read(0).unique().tolist() == [0]
    twin = pickle.loads(pickle.dumps(images))
    assert twin.num_bytes == 0
    assert twin.read(0).unique().tolist() == [0]
    with pytest.raises(ValueError, match="max_bytes"):
        cached(Numbers(1), -1)
