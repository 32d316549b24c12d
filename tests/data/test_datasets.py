import gzip
import io
import struct
import tarfile
import zipfile

import pytest
from PIL import Image

from loopyvq.data import DATASETS, open_image_set
from loopyvq.errors import DataError

IDX = struct.pack(">4I", 2051, 1, 2, 3) + bytes(6)


@pytest.fixture
def root(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2)).save(buffer, "PNG")
    blob = buffer.getvalue()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.png").write_bytes(blob)
    (tmp_path / "a.PNG").write_bytes(blob)
    (tmp_path / "list.txt").write_text("a.PNG")
    (tmp_path / "images-idx3-ubyte").write_bytes(IDX)
    (tmp_path / "images.gz").write_bytes(gzip.compress(IDX))
    with zipfile.ZipFile(tmp_path / "a.ZIP", "w") as archive:
        archive.writestr("a.png", blob)
    for name, mode in (("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz")):
        with tarfile.open(tmp_path / name, mode) as archive:
            archive.add(tmp_path / "a.PNG", "a.png")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("folder", "folder"),
        ("a.PNG", "image"),
        ("list.txt", "list"),
        ("a.ZIP", "zip"),
        ("a.tar", "tar"),
        ("a.tar.gz", "tar"),
        ("a.tgz", "tar"),
        ("images-idx3-ubyte", "idx"),
        ("images.gz", "idx"),
    ],
)
def test_every_kind_is_told_by_what_it_is(root, name, kind):
    for source in (root / name, str(root / name)):
        images = open_image_set(source, channels=1, strict=True, max_pixels=6)
        assert isinstance(images, DATASETS[kind])
        assert (images.channels, images.strict, images.max_pixels) == (1, True, 6)
        assert [image.shape for _, image in images.images()] == [(1, 2, 3)]


def test_samples_need_no_path():
    assert isinstance(open_image_set("samples", channels=1), DATASETS["samples"])


def test_clear_errors(tmp_path):
    with pytest.raises(DataError, match=r"there is no file or folder .*absent: check the path"):
        open_image_set(tmp_path / "absent")
    with pytest.raises(DataError, match="holds no images"):
        open_image_set(tmp_path)
    for name, blob in (("a.npy", b"\x93NUMPY"), ("a.gz", b"\x1f\x8bbroken"), ("empty", b"")):
        (tmp_path / name).write_bytes(blob)
        with pytest.raises(DataError, match=f"cannot tell what .*{name} is: expected a folder"):
            open_image_set(tmp_path / name)
    with pytest.raises(DataError, match=r"cannot open|there is no"):
        open_image_set("nul\0character")
    with pytest.raises(DataError, match=r"cannot open|there is no"):
        open_image_set("x" * 5000)


@pytest.mark.parametrize("name", ["pairs.zip", "pairs.tar", "pairs.tar.gz"])
def test_a_path_may_go_on_inside_of_an_archive(root, name):
    blob = (root / "a.PNG").read_bytes()
    members = ["top/images/a/1.png", "top/images/b/1.png", "top/maps/a/1.png", "top/images2/x.png"]
    if name == "pairs.zip":
        with zipfile.ZipFile(root / name, "w") as archive:
            for member in members:
                archive.writestr(member, blob)
    else:
        with tarfile.open(root / name, "w:gz" if name.endswith("gz") else "w") as archive:
            for member in members:
                archive.add(root / "a.PNG", "./" + member)

    def keys(inside):
        images = open_image_set(root / name / inside)
        assert all(image.shape == (3, 2, 3) for _, image in images.images())
        return [images.key(index) for index in range(len(images))]

    assert keys("top/images") == ["a/1.png", "b/1.png"]
    assert open_image_set(root / name / "top/images").class_names == ("a", "b")
    assert keys("top/images/a") == ["1.png"]
    assert keys("top/images2/x.png") == ["x.png"]
    assert len(keys("top")) == 4
    for wrong in ("top/image", "nothing", "top/images/a/2.png"):
        with pytest.raises(DataError, match=f"holds no images in {wrong}"):
            open_image_set(root / name / wrong)


def test_a_folder_that_is_called_like_an_archive_is_a_folder(root):
    (root / "folder").rename(root / "folder.zip")
    (root / "folder.zip" / "sub").mkdir()
    (root / "folder.zip" / "a.png").rename(root / "folder.zip" / "sub" / "a.png")
    assert len(open_image_set(root / "folder.zip" / "sub")) == 1
