import io
import pickle
import struct
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader

from loopyvq.data import BrokenImageError, TarImages, ZipImages, archive, open_image_set
from loopyvq.errors import DataError

SHARED = Path(__file__).parents[3] / "shared" / "data"


def png(value, size=(4, 3)):
    buffer = io.BytesIO()
    Image.new("L", size, value).save(buffer, "PNG")
    return buffer.getvalue()


MEMBERS = {
    "set/dog/2.png": png(2),
    "set/cat/1.png": png(1),
    "set/readme.txt": b"hello",
    "__MACOSX/set/cat/._1.png": b"junk",
    "set/dog/bad.png": b"junk",
}


def write_zip(path, members=MEMBERS, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, blob in members.items():
            file.writestr(name, blob)
    return path


def write_tar(path, mode="w", members=MEMBERS):
    with tarfile.open(path, mode) as file:
        for name, blob in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(blob)
            file.addfile(info, io.BytesIO(blob))
    return path


def archives(folder):
    return [
        ZipImages(write_zip(folder / "a.zip")),
        ZipImages(write_zip(folder / "b.zip", compression=zipfile.ZIP_STORED)),
        TarImages(write_tar(folder / "a.tar")),
        *[TarImages(write_tar(folder / f"a.tar.{s}", f"w:{s}")) for s in ("gz", "bz2", "xz")],
    ]


def test_members_are_read_in_place(tmp_path):
    for images in archives(tmp_path):
        for twin in (images, pickle.loads(pickle.dumps(images))):
            assert [twin.key(i) for i in range(3)] == [
                "set/cat/1.png",
                "set/dog/2.png",
                "set/dog/bad.png",
            ]
            assert [twin.label(i) for i in range(3)] == [0, 1, 1]
            found = [(key, image.unique().tolist()) for key, image in twin.images()]
            assert found == [("set/cat/1.png", [1]), ("set/dog/2.png", [2])]
            assert list(twin.broken) == ["set/dog/bad.png"]


def test_members_may_be_named_from_the_root(tmp_path):
    members = {f"/{name}": blob for name, blob in MEMBERS.items() if "MACOSX" not in name}
    write_tar(tmp_path / "a.tar", members=members)
    write_tar(tmp_path / "a.tar.gz", "w:gz", members=members)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for name, blob in members.items():
            info = zipfile.ZipInfo(name)
            info.filename = name
            file.writestr(info, blob)
        assert file.namelist() == list(members)
    for name in ("a.tar", "a.tar.gz", "a.zip"):
        images = open_image_set(tmp_path / name)
        assert [images.key(i) for i in range(len(images))] == [
            "set/cat/1.png",
            "set/dog/2.png",
            "set/dog/bad.png",
        ]
        assert [images.label(i) for i in range(len(images))] == [0, 1, 1]
        assert images.read(1).unique().tolist() == [2]
        inside = open_image_set(tmp_path / name / "set" / "dog")
        assert [inside.key(i) for i in range(len(inside))] == ["2.png", "bad.png"]


def collate(batch):
    return batch[0]


class Readable:
    """A torch data set over the readable images of an image set."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return self.images.read(index)


@pytest.mark.parametrize("kind", [ZipImages, TarImages])
def test_worker_processes(tmp_path, kind):
    write = {ZipImages: write_zip, TarImages: write_tar}[kind]
    images = kind(write(tmp_path / "archive"))
    images.read(0)
    loader = DataLoader(Readable(images), num_workers=2, collate_fn=collate)
    assert [image.unique().tolist() for image in loader] == [[1], [2]]


def test_strict(tmp_path):
    with pytest.raises(BrokenImageError, match=r"set/dog/bad\.png"):
        list(ZipImages(write_zip(tmp_path / "a.zip"), strict=True).images())


def test_huge_members_are_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_FILE_BYTES", 2000)
    members = {"a.png": png(1), "bomb.png": b"\0" * 100_000}
    for images in (
        ZipImages(write_zip(tmp_path / "a.zip", members)),
        TarImages(write_tar(tmp_path / "a.tar", "w", members)),
        TarImages(write_tar(tmp_path / "a.tgz", "w:gz", members)),
    ):
        assert [key for key, _ in images.images()] == ["a.png"]
        assert "100000 bytes, more than the allowed 2000" in images.broken["bomb.png"]


def test_zip_member_that_lies_about_its_size(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a.png": b"\0" * 10**6})
    blob = bytearray(path.read_bytes())
    place = blob.index(b"PK\x01\x02") + 24
    blob[place : place + 4] = struct.pack("<I", 100)
    path.write_bytes(blob)
    with pytest.raises(BrokenImageError, match="size or checksum"):
        ZipImages(path).read(0)


def test_zip_members_that_cannot_be_read(tmp_path):
    packed = ZipImages(write_zip(tmp_path / "a.zip", {"a.png": png(1)}, zipfile.ZIP_LZMA))
    with pytest.raises(BrokenImageError, match="compression 14 is not supported"):
        packed.read(0)
    path = write_zip(tmp_path / "b.zip", {"a.png": png(1)})
    blob = bytearray(path.read_bytes())
    blob[blob.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(blob)
    with pytest.raises(BrokenImageError, match="encrypted"):
        ZipImages(path).read(0)


def test_archive_that_goes_away(tmp_path):
    images = ZipImages(write_zip(tmp_path / "a.zip")), TarImages(write_tar(tmp_path / "a.tar"))
    for image_set in images:
        image_set.path.write_bytes(b"")
        with pytest.raises(BrokenImageError, match="is damaged"):
            image_set.read(0)
        image_set.path.unlink()
        with pytest.raises(BrokenImageError, match="No such file"):
            image_set.read(0)


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tar.xz"])
def test_damaged_and_empty_archives(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    if suffix == "zip":
        write_zip(path)
    else:
        write_tar(path, f"w:{suffix[4:]}")
    whole = path.read_bytes()
    for blob in (b"", b"nonsense" * 200, whole[: len(whole) // 3]):
        path.write_bytes(blob)
        with pytest.raises(DataError, match=r"archive .*a\..* is damaged"):
            open_image_set(path)


def test_archives_without_images_and_missing_archives(tmp_path):
    for images, path in (
        (ZipImages, write_zip(tmp_path / "a.zip", {"a.txt": b""})),
        (TarImages, write_tar(tmp_path / "a.tar", "w", {"a.txt": b""})),
    ):
        with pytest.raises(DataError, match="holds no images"):
            images(path)
        with pytest.raises(DataError, match="No such file"):
            images(tmp_path / "absent")


def test_damaged_tar_header_does_not_hide_images(tmp_path):
    path = write_tar(tmp_path / "a.tar")
    blob = bytearray(path.read_bytes())
    blob[blob.index(b"set/cat/1.png")] ^= 1
    path.write_bytes(blob)
    with pytest.raises(DataError, match="is damaged at byte 1024"):
        TarImages(path)


def test_compressed_tar_has_a_limit_and_a_checksum(tmp_path, monkeypatch):
    path = write_tar(tmp_path / "a.tar.gz", "w:gz")
    blob = bytearray(path.read_bytes())
    blob[-6] ^= 1
    path.write_bytes(blob)
    with pytest.raises(DataError, match="damaged"):
        TarImages(path)
    monkeypatch.setattr(archive, "MAX_COMPRESSED_TAR_BYTES", 100)
    with pytest.raises(DataError, match=r"repack it as \.tar or \.zip"):
        TarImages(write_tar(path, "w:gz"))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_bytes_are_read_or_refused(data):
    with tempfile.TemporaryDirectory() as folder:
        suffix = data.draw(st.sampled_from(["zip", "tar", "tar.gz"]))
        path = Path(folder) / f"a.{suffix}"
        if suffix == "zip":
            write_zip(path)
        else:
            write_tar(path, "w:gz" if suffix == "tar.gz" else "w")
        blob = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 6))):
            blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(blob[: data.draw(st.integers(0, len(blob)))])
        try:
            images = open_image_set(path)
        except DataError:
            return
        list(images.images())


def test_cifar_zip():
    path = SHARED / "cifar10_png.zip"
    if not path.exists():
        pytest.skip(f"the development data {path} is not on this machine")
    images = open_image_set(path)
    assert len(images) == 12_000
    assert {images.label(index) for index in range(0, 12_000, 100)} == set(range(10))
    assert images.read(11_999).shape == (3, 32, 32)
