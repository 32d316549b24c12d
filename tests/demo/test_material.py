import pytest
import torch

from loopyvq.data import to_pil
from loopyvq.demo.material import gather_material
from loopyvq.errors import DataError


def write(folder, count, side, channels=1):
    generator = torch.Generator().manual_seed(0)
    for number in range(count):
        pixels = torch.randint(0, 256, (channels, side, side + 3), generator=generator)
        name = folder / f"class{number % 2}"
        name.mkdir(exist_ok=True)
        to_pil(pixels.to(torch.uint8)).save(name / f"{number}.png")


def test_small_images_are_learned_whole(tmp_path):
    write(tmp_path, 30, 30)
    found = gather_material(tmp_path)
    assert found.size == 28
    assert found.views == 1
    assert found.min_scale == 1
    assert found.training.channels == 1
    assert found.training.class_names == ("class0", "class1")
    assert (len(found.training), len(found.held_out)) == (22, 8)
    assert found.probe.shape[1:] == (1, 28, 28)


def test_of_large_images_crops_are_learned(tmp_path):
    write(tmp_path, 5, 100, channels=3)
    found = gather_material(tmp_path)
    assert found.size == 64
    assert found.views == 4000 // 3
    assert found.min_scale < 1
    assert len(found.training) == 3
    assert found.held_out.shape == (8, 3, 64, 64)
    assert len(found.probe) > 200


def test_too_few_or_too_small(tmp_path):
    write(tmp_path, 2, 30)
    with pytest.raises(DataError, match="at least 3 images"):
        gather_material(tmp_path)
    write(tmp_path, 9, 6)
    with pytest.raises(DataError, match="at least 8 pixels"):
        gather_material(tmp_path)
