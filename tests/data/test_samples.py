import importlib.resources

import pytest

from loopyvq.data import BrokenImageError, SampleImages, samples
from loopyvq.errors import DataError


def test_all_samples_are_colour_photographs():
    images = SampleImages(strict=True)
    found = dict(images.images())
    assert tuple(found) == samples.SAMPLE_NAMES
    for image in found.values():
        assert min(image.shape[1:]) >= 300
        assert not (image[0] == image[1]).all()


def test_remedy_without_scikit_image(monkeypatch):
    def absent(package):
        raise ModuleNotFoundError(package)

    monkeypatch.setattr(importlib.resources, "files", absent)
    with pytest.raises(DataError, match=r"pip install 'loopyvq\[samples\]'"):
        SampleImages()


def test_photographs_that_moved(monkeypatch, tmp_path):
    images = SampleImages()
    monkeypatch.setattr(samples, "_data_folder", lambda: tmp_path)
    with pytest.raises(DataError, match=r"has no astronaut\.png"):
        SampleImages()
    with pytest.raises(BrokenImageError, match=r"astronaut\.png"):
        images.read(0)
