import os

import pytest
from PIL import Image

from loopyvq.data import BrokenImageError, FileImages, FolderImages, SingleImage
from loopyvq.data import folder as folder_module
from loopyvq.errors import DataError


def save(path, colour=(1, 2, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3), colour).save(path)


@pytest.fixture
def root(tmp_path):
    for name in ("dog/b.PNG", "cat/a.jpg", "cat/deep/c.bmp", "._x.png", "__MACOSX/y.png"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "dog" / "z.png").write_bytes(b"no image either")
    return tmp_path


def keys(image_set):
    return [image_set.key(index) for index in range(len(image_set))]


def test_images_are_found_recursively_and_sorted(root):
    images = FolderImages(root)
    assert keys(images) == ["cat/a.jpg", "cat/deep/c.bmp", "dog/b.PNG", "dog/z.png"]
    assert [images.label(index) for index in range(4)] == [0, 1, 2, 2]
    assert images.read(2).shape == (3, 3, 4)
    assert FolderImages(root, channels=1).read(2).shape == (1, 3, 4)


def test_broken_files_are_skipped_or_raised(root):
    images = FolderImages(root)
    assert [key for key, _ in images.images()] == ["cat/a.jpg", "cat/deep/c.bmp", "dog/b.PNG"]
    assert list(images.broken) == ["dog/z.png"]
    with pytest.raises(BrokenImageError, match=r"dog/z\.png"):
        list(FolderImages(root, strict=True).images())
    few_pixels = FolderImages(root, max_pixels=11)
    assert list(few_pixels.images()) == []
    assert len(few_pixels.broken) == 4


def test_links_are_followed_without_going_round(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    save(elsewhere / "e.png")
    (root / "linked").symlink_to(elsewhere)
    (root / "cat" / "up").symlink_to(root)
    assert "linked/e.png" in keys(FolderImages(root))
    assert len(FolderImages(root)) == 5


def test_folders_without_images_and_missing_folders(tmp_path):
    with pytest.raises(DataError, match=r"holds no images: put files with \.jpg"):
        FolderImages(tmp_path)
    with pytest.raises(DataError, match=r"cannot list the folder .*absent"):
        FolderImages(tmp_path / "absent")


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.png")
    save(tmp_path / "big.png")
    monkeypatch.setattr(folder_module, "MAX_FILE_BYTES", 10)
    images = FileImages(tmp_path, ["absent.png", "pipe.png", "big.png", "nul\0.png"])
    assert list(images.images()) == []
    assert list(images.broken) == ["absent.png", "pipe.png", "big.png", "nul\0.png"]
    assert "no file" in images.broken["absent.png"]
    assert "more than the allowed 10" in images.broken["big.png"]


def test_single_image(tmp_path):
    save(tmp_path / "one.png")
    image = SingleImage(tmp_path / "one.png")
    assert keys(image) == ["one.png"]
    assert image.read(0)[:, 0, 0].tolist() == [1, 2, 3]
    assert image.label(0) is None
