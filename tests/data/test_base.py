import logging
import pickle

import pytest
import torch

from loopyvq.data import BrokenImageError, ImageSet
from loopyvq.data.base import folder_classes, folder_labels


class Numbers(ImageSet):
    """Grey 2x2 images; those in ``bad`` are broken."""

    def __init__(self, number, bad=(), **options):
        super().__init__(channels=1, **options)
        self.number, self.bad = number, bad

    def __len__(self):
        return self.number

    def key(self, index):
        return f"number {index}"

    def read(self, index):
        if index in self.bad:
            raise BrokenImageError(self.key(index), "it is bad")
        return torch.full((1, 2, 2), index, dtype=torch.uint8)


def test_broken_images_are_skipped_counted_and_logged_once(caplog):
    numbers = Numbers(4, bad=(1, 3))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert [key for key, _ in numbers.images()] == ["number 0", "number 2"]
    assert numbers.broken == {"number 1": "it is bad", "number 3": "it is bad"}
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        "skipped: cannot read the image number 1: it is bad",
        "skipped: cannot read the image number 3: it is bad",
    ]
    assert {record.name for record in caplog.records} == {"loopyvq.data.base"}


def test_strict_sets_raise():
    with pytest.raises(BrokenImageError, match="number 1: it is bad"):
        list(Numbers(3, bad=(1,), strict=True).images())


def test_no_labels_by_default_and_picklable():
    numbers = pickle.loads(pickle.dumps(Numbers(3)))
    assert numbers.label(0) is None
    assert len(list(numbers.images())) == 3


@pytest.mark.parametrize("options", [{"channels": 2}, {"max_pixels": 0}])
def test_arguments_are_checked(options):
    class Empty(Numbers):
        def __init__(self):
            ImageSet.__init__(self, **options)

    with pytest.raises(ValueError, match="must be"):
        Empty()


def test_folder_labels():
    assert folder_labels(["b/1.png", "a/2.png", "x/b/3.png", "4.png"]) == (1, 0, 1, None)
    assert folder_labels(["1.png", "2.png"]) == (None, None)
    assert folder_labels([]) == ()


def test_folder_classes():
    assert folder_classes(["b/1.png", "a/2.png", "x/b/3.png", "4.png"]) == ("a", "b")
    assert folder_classes(["a/1.png", "a/2.png", "3.png"]) == ()
    assert Numbers(3).class_names == ()
