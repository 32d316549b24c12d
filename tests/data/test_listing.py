import pytest
from PIL import Image

from loopyvq.data import ListedImages
from loopyvq.errors import DataError


def test_paths_comments_and_missing_files(tmp_path):
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (4, 3)).save(tmp_path / "photos" / "a b.png")
    Image.new("RGB", (5, 3)).save(tmp_path / "z.png")
    path = tmp_path / "list.txt"
    lines = ["\ufeff# mine", "", f"{tmp_path}/z.png\r", "  photos/a b.png", "absent.png"]
    path.write_text("\n".join(lines), encoding="utf-8")
    images = ListedImages(path)
    assert [images.key(i) for i in range(3)] == [
        f"{tmp_path}/z.png",
        "photos/a b.png",
        "absent.png",
    ]
    assert [image.shape[2] for _, image in images.images()] == [5, 4]
    assert list(images.broken) == ["absent.png"]
    assert images.class_names == tuple(sorted([tmp_path.name, "photos"]))
    assert images.class_names[images.label(1)] == "photos"
    assert images.label(2) is None


@pytest.mark.parametrize(
    ("blob", "message"), [(b"# only\n\n", "names no images"), (b"a\xff.png", "no UTF-8 text")]
)
def test_wrong_lists(tmp_path, blob, message):
    path = tmp_path / "list.txt"
    path.write_bytes(blob)
    with pytest.raises(DataError, match=message):
        ListedImages(path)
    with pytest.raises(DataError, match=r"cannot read the list .*absent\.txt"):
        ListedImages(tmp_path / "absent.txt")
