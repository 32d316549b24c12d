import torch

from loopyvq.data import Subset, open_image_set, to_pil
from loopyvq.data.fingerprint import fingerprint_of


def folder_of(path, shades):
    path.mkdir()
    for number, shade in enumerate(shades):
        to_pil(torch.full((3, 4, 4), shade, dtype=torch.uint8)).save(path / f"{number:02}.png")
    return open_image_set(path)


def test_a_set_is_named_by_what_is_in_it(tmp_path):
    first = folder_of(tmp_path / "first", range(40))
    same = folder_of(tmp_path / "elsewhere", range(40))
    assert fingerprint_of(first) == fingerprint_of(same)
    others = [
        folder_of(tmp_path / "brighter", range(1, 41)),
        folder_of(tmp_path / "more", range(41)),
        Subset(first, range(39)),
    ]
    assert len({fingerprint_of(images) for images in (first, *others)}) == 4


def test_images_of_all_parts_are_looked_at(tmp_path):
    whole = fingerprint_of(folder_of(tmp_path / "whole", range(40)))
    for number in (0, 20, 37):
        shades = [200 if place == number else place for place in range(40)]
        assert fingerprint_of(folder_of(tmp_path / f"{number}", shades)) != whole


def test_broken_images_count(tmp_path):
    images = folder_of(tmp_path / "first", range(3))
    whole = fingerprint_of(images)
    (tmp_path / "first" / "01.png").write_text("no image")
    assert fingerprint_of(images) != whole
    assert not images.broken  # which is for the work itself to say
