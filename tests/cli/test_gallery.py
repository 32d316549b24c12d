"""What the drawing commands write; test_sample and test_complete run them whole."""

import pytest
import torch
from PIL import Image

from loopyvq.cli.gallery import Gallery, new_film, without_overviews, write_animation
from loopyvq.data import open_image_set
from loopyvq.errors import ConfigError
from loopyvq.generation import open_image_prior
from loopyvq.token_file import read_token_file
from loopyvq.tokens import Tokens


def tokens_of(count):
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 16, (count, 4, 4, 4), generator=generator)
    return Tokens(codes, torch.full((count, 4, 4), 4))


def test_images_and_tokens_are_written_as_they_come(prior, tmp_path):
    model = open_image_prior(prior)
    gallery = Gallery(tmp_path / "out", model, (30, 32), 3, str(tmp_path / "tokens"))
    for count in (2, 1):
        gallery.add(tokens_of(count))
        assert len(list((tmp_path / "out").iterdir())) == gallery.count
    assert (gallery.count, gallery.num_tokens) == (3, 3 * 64)
    file = read_token_file(tmp_path / "tokens" / "00001.tokens")
    assert torch.equal(file.tokens.codes, tokens_of(2).codes[1])
    assert (file.height, file.model) == (30, model.source.tokenizer)
    gallery.close(3, before=[gallery.look_at(tokens_of(1))[0]])
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        assert sheet.size == (2 + 3 * 34, 2 + 2 * 32)


def test_files_of_an_earlier_run_must_not_stay_among_the_new_ones(tmp_path):
    for folder, file in {"out": "00002.png", "tokens": "00003.tokens"}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).touch()
    for name in ("notes.png", "2024.png"):  # which no run writes
        (tmp_path / "out" / name).touch()
    where = tmp_path / "out", None, (32, 32)
    with pytest.raises(ConfigError, match=r"holds 00002.png of an earlier run"):
        Gallery(*where, 2)
    Gallery(*where, 3)
    with pytest.raises(ConfigError, match=r"holds 00003.tokens of an earlier run"):
        Gallery(*where, 3, str(tmp_path / "tokens"))


def test_the_overviews_of_a_folder_are_no_images(prior, tmp_path):
    model = open_image_prior(prior)
    gallery = Gallery(tmp_path, model, (32, 32), 2)
    gallery.add(tokens_of(2))
    gallery.close()
    (tmp_path / "canvas.gif").write_bytes((tmp_path / "00000.png").read_bytes())
    images = without_overviews(open_image_set(tmp_path))
    assert [images.key(index) for index in range(len(images))] == ["00000.png", "00001.png"]
    (tmp_path / "00000.png").unlink()  # whoever wrote this, it was not the command
    assert len(without_overviews(open_image_set(tmp_path))) == 3


def test_overviews_below_a_folder_are_no_images_either(tmp_path):
    for name in ("a/00000.png", "a/sheet.png", "b/0.png", "b/sheet.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    images = without_overviews(open_image_set(tmp_path))
    keys = [images.key(index) for index in range(len(images))]
    assert keys == ["a/00000.png", "b/0.png", "b/sheet.png"]


def test_an_animation_of_the_moments(prior, tmp_path):
    model = open_image_prior(prior)
    assert new_film(False, (4, 4)) is None
    film = new_film(True, (4, 4))
    for count in (5, 16):
        film(count, tokens_of(3))
    ranks = model.ranks(model.windows(), (4, 4))
    write_animation(tmp_path / "canvas.gif", film, model, (32, 32), ranks)
    with Image.open(tmp_path / "canvas.gif") as animation:
        assert animation.n_frames == 2
        first = animation.convert("L").getpixel((30, 30))
        animation.seek(1)
        assert animation.convert("L").getpixel((30, 30)) != first
