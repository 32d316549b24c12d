import gzip
import pickle
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.data import IdxImages, Subset, cached, open_image_set
from loopyvq.data.idx import is_idx_file
from loopyvq.errors import DataError

SHARED = Path(__file__).parents[3] / "shared" / "data"
IMAGES = struct.pack(">4I", 2051, 2, 2, 3) + bytes(range(12))
LABELS = struct.pack(">2I", 2049, 2) + bytes([7, 4])


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_images_and_labels(tmp_path, pack):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(pack(IMAGES))
    assert IdxImages(path).label(0) is None
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(pack(LABELS))
    images = pickle.loads(pickle.dumps(IdxImages(path, channels=1)))
    assert images.read(1).tolist() == [[[6, 7, 8], [9, 10, 11]]]
    assert [images.label(0), images.label(1)] == [7, 4]
    assert images.class_names == tuple("01234567")
    assert Subset(images, [0]).class_names == cached(images, 9).class_names == images.class_names
    assert images.key(1) == "train-images-idx3-ubyte[1]"
    grey = IdxImages(path).read(0)
    assert grey.shape == (3, 2, 3)
    grey.fill_(99)
    assert len(list(images.images())) == 2
    assert IdxImages(path).read(0).max() == 5


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (b"", "ends inside its header"),
        (IMAGES[:10], "ends inside its header"),
        (struct.pack(">4I", 2052, 2, 2, 3) + bytes(12), "starts with 2052, not 2051"),
        (LABELS + bytes(20), "no idx file of images: it starts with 2049"),
        (IMAGES[:-1], "12 bytes announced, only 11 found"),
        (IMAGES + b"x", "12 bytes announced, more found"),
        (struct.pack(">4I", 2051, 2**32 - 1, 2**32 - 1, 2**32 - 1), "more than it can hold"),
        (
            gzip.compress(struct.pack(">4I", 2051, 2**30, 2**10, 28), mtime=0),
            "more than it can hold",
        ),
        (struct.pack(">4I", 2051, 0, 2, 3), "holds no images"),
        (struct.pack(">4I", 2051, 2, 0, 3), "holds no images"),
        (gzip.compress(IMAGES, mtime=0)[:-9], "damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_wrong_files(tmp_path, blob, message):
    path = tmp_path / "images"
    path.write_bytes(blob)
    with pytest.raises(DataError, match=message):
        IdxImages(path)


def test_wrong_labels_missing_files_and_large_images(tmp_path):
    path = tmp_path / "images-idx3"
    path.write_bytes(IMAGES)
    with pytest.raises(DataError, match="images of 6 pixels, allowed: 5"):
        IdxImages(path, max_pixels=5)
    (tmp_path / "labels-idx1").write_bytes(struct.pack(">2I", 2049, 1) + b"\1")
    with pytest.raises(DataError, match="1 labels for the 2 images"):
        IdxImages(path)
    with pytest.raises(DataError, match="No such file"):
        IdxImages(tmp_path / "absent")


@settings(max_examples=150, deadline=None)
@given(
    header=st.binary(max_size=20)
    | st.tuples(*[st.integers(0, 2**32 - 1)] * 3).map(
        lambda shape: struct.pack(">4I", 2051, *shape)
    ),
    body=st.binary(max_size=40),
    zipped=st.booleans(),
    cut=st.integers(0, 80),
)
def test_any_bytes_are_read_or_refused(header, body, zipped, cut):
    blob = gzip.compress(header + body) if zipped else header + body
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images"
        path.write_bytes(blob[:cut])
        is_idx_file(path)
        try:
            images = IdxImages(path)
        except DataError:
            return
        assert len(list(images.images())) == len(images) > 0


def test_fashion_mnist():
    path = SHARED / "fashion-mnist" / "train-images-idx3-ubyte.gz"
    if not path.exists():
        pytest.skip(f"the development data {path} is not on this machine")
    images = open_image_set(path, channels=1)
    assert len(images) == 60_000
    assert images.read(59_999).shape == (1, 28, 28)
    assert images.label(0) == 9
