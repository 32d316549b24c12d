import pickle
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from loopyvq.data import (
    BrokenImageError,
    PairedImages,
    SideBySideImages,
    cached,
    open_image_set,
    split,
    take_apart,
)
from loopyvq.data.pairs import MapFiles, MapHalves
from loopyvq.errors import DataError


def read_grey(picture):
    return np.asarray(picture.convert("L"))


def write(path, value, size=(6, 4), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


@pytest.fixture
def two_folders(tmp_path):
    for number, name in enumerate(["b/2", "a/1", "b/3"]):
        write(tmp_path / "images" / f"{name}.jpg", (200, 100, number))
        write(tmp_path / "maps" / f"{name}.png", number, mode="L")
    write(tmp_path / "maps" / "a" / "unused.png", 9, mode="L")
    return tmp_path


def pairs_of(folder, **options):
    images = open_image_set(folder / "images", **options)
    return PairedImages(images, MapFiles(open_image_set(folder / "maps", **options), read_grey))


def test_names_without_suffix_make_pairs(two_folders):
    pairs = pairs_of(two_folders)
    assert [pairs.key(index) for index in range(3)] == ["a/1.jpg", "b/2.jpg", "b/3.jpg"]
    assert [int(take_apart(pairs.read(index)).map.unique()) for index in range(3)] == [1, 0, 2]
    image, plane = take_apart(pairs.read(0))
    assert torch.equal(image, open_image_set(two_folders / "images").read(0))
    assert plane.shape == (4, 6)
    assert pairs.class_names == ("a", "b")
    assert [pairs.label(index) for index in range(3)] == [0, 1, 1]


def test_views_and_pickles_work_on_pairs(two_folders):
    pairs = pairs_of(two_folders)
    training, validation = split(cached(pairs, 10**6), 1, seed=0)
    assert len(training) + len(validation) == 3
    assert training.class_names == ("a", "b")
    again = pickle.loads(pickle.dumps(training))
    assert torch.equal(again.read(1), training.read(1))


def test_folders_inside_of_one_archive(two_folders):
    path = two_folders / "pairs.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(two_folders.rglob("*.*g")):
            archive.write(file, "top/" + file.relative_to(two_folders).as_posix())
    images = open_image_set(path / "top" / "images")
    maps = MapFiles(open_image_set(path / "top" / "maps"), read_grey)
    pairs = PairedImages(images, maps)
    assert pairs.key(2) == "b/3.jpg"
    assert torch.equal(pairs.read(2), pairs_of(two_folders).read(2))


def test_missing_and_ambiguous_maps(two_folders):
    (two_folders / "maps" / "b" / "3.png").unlink()
    with pytest.raises(DataError, match=r"1 of 3 images have no map, the first is b/3\.jpg.*a/1"):
        pairs_of(two_folders)
    write(two_folders / "maps" / "b" / "2.bmp", 0, mode="L")
    with pytest.raises(DataError, match=r"same name but for the suffix: b/2\.bmp and b/2\.png"):
        pairs_of(two_folders)


def test_sizes_must_agree(two_folders):
    write(two_folders / "maps" / "b" / "2.png", 0, size=(6, 5), mode="L")
    pairs = pairs_of(two_folders)
    with pytest.raises(BrokenImageError, match=r"b/2\.jpg: it has 6 x 4 pixels, but its map has 6"):
        pairs.read(1)
    assert [key for key, _ in pairs.images()] == ["a/1.jpg", "b/3.jpg"]
    with pytest.raises(BrokenImageError):
        list(pairs_of(two_folders, strict=True).images())


def test_broken_maps_name_themselves(two_folders):
    (two_folders / "maps" / "b" / "2.png").write_bytes(b"junk")
    with pytest.raises(BrokenImageError, match=r"b/2\.png: it is no image"):
        pairs_of(two_folders).read(1)


def test_lists_go_line_by_line_and_single_files_together(two_folders):
    (two_folders / "images.txt").write_text("images/b/2.jpg\nimages/a/1.jpg\n")
    (two_folders / "maps.txt").write_text("maps/b/3.png\nmaps/b/2.png\n")
    images = open_image_set(two_folders / "images.txt")
    maps = MapFiles(open_image_set(two_folders / "maps.txt"), read_grey)
    assert [int(PairedImages(images, maps).read(i)[-1, 0, 0]) for i in range(2)] == [2, 0]
    (two_folders / "maps.txt").write_text("maps/b/3.png\n")
    maps = MapFiles(open_image_set(two_folders / "maps.txt"), read_grey)
    with pytest.raises(DataError, match="2 images and 1 maps in the lists"):
        PairedImages(images, maps)
    one = open_image_set(two_folders / "images" / "a" / "1.jpg")
    other = MapFiles(open_image_set(two_folders / "maps" / "b" / "3.png"), read_grey)
    assert int(PairedImages(one, other).read(0)[-1, 0, 0]) == 2


@pytest.fixture
def side_by_side(tmp_path):
    picture = np.zeros((4, 10, 3), np.uint8)
    picture[:, :5] = (10, 20, 30)
    picture[:, 5:] = 77
    Image.fromarray(picture).save(tmp_path / "0.png")
    return tmp_path


@pytest.mark.parametrize("channels", [1, 3])
def test_halves(side_by_side, channels):
    files = open_image_set(side_by_side)
    pairs = SideBySideImages(files, "right", read_grey, channels)
    image, plane = take_apart(pairs.read(0))
    assert image.shape == (channels, 4, 5)
    assert plane.unique().tolist() == [77]
    assert pairs.key(0) == "0.png"
    if channels == 3:
        assert image[:, 0, 0].tolist() == [10, 20, 30]
        turned = SideBySideImages(files, "left", read_grey)
        assert turned.read(0)[0].unique().tolist() == [77]
    assert torch.equal(MapHalves(pairs).read(0), plane[None])


def test_odd_widths_have_no_halves(tmp_path):
    write(tmp_path / "odd.png", (0, 0, 0), size=(7, 2))
    with pytest.raises(BrokenImageError, match="7 pixels wide: it has no two equal halves"):
        SideBySideImages(open_image_set(tmp_path), "left", read_grey).read(0)


def test_a_reader_may_refuse(tmp_path):
    def refuse(_):
        raise ValueError("I do not like it")

    write(tmp_path / "0.png", (0, 0, 0))
    with pytest.raises(BrokenImageError, match=r"0\.png: I do not like it"):
        MapFiles(open_image_set(tmp_path), refuse).read(0)
    with pytest.raises(BrokenImageError, match=r"0\.png: I do not like it"):
        SideBySideImages(open_image_set(tmp_path), "left", refuse).read(0)
