import math
from pathlib import Path

import pytest
import torch

from loopyvq import load_tokenizer
from loopyvq.checkpoint import tokenizer_file
from loopyvq.codec import Codec
from loopyvq.data import open_image_set
from loopyvq.data.samples import SAMPLE_NAMES
from loopyvq.metrics.distortion import measure_distortion
from loopyvq.pretrained import DEFAULT_MODEL, PRETRAINED, pretrained_file

MOST_BYTES = 8_000_000


def test_every_model_is_there_with_its_card_and_is_small():
    for name, model in PRETRAINED.items():
        assert model.name == name
        assert 0 < model.weights.stat().st_size <= MOST_BYTES
        card = model.card.read_text(encoding="utf-8")
        for line in (f"# {name}", "| data |", "| licence", "Limits:"):
            assert line in card


def test_samples_that_a_model_has_learned_are_in_its_card():
    known = {Path(name).stem for name in SAMPLE_NAMES}
    for model in PRETRAINED.values():
        card = model.card.read_text(encoding="utf-8")
        assert set(model.trained_samples) <= known
        assert all(name in card for name in model.trained_samples)
        data = next(line for line in card.splitlines() if line.startswith("| data |"))
        assert ("scikit-image" in data) == bool(model.trained_samples)


def test_the_folder_holds_nothing_else():
    listed = {path.name for model in PRETRAINED.values() for path in (model.weights, model.card)}
    folder = PRETRAINED[DEFAULT_MODEL].weights.parent
    assert {path.name for path in folder.iterdir() if path.is_file()} == listed | {"__init__.py"}


def test_without_a_name_the_default_is_loaded():
    assert torch.equal(
        load_tokenizer().quantizer.codebook.weight,
        load_tokenizer(DEFAULT_MODEL).quantizer.codebook.weight,
    )


def test_what_lies_in_the_folder_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert pretrained_file(DEFAULT_MODEL) == tokenizer_file(DEFAULT_MODEL)
    (tmp_path / DEFAULT_MODEL).mkdir()
    assert pretrained_file(DEFAULT_MODEL) is None
    assert tokenizer_file(DEFAULT_MODEL).parent.name == DEFAULT_MODEL


def test_the_default_compresses_a_photograph():
    image = open_image_set("samples").read(0)[:, :160, :160]
    codec = Codec.load(DEFAULT_MODEL)
    sizes, psnrs = [], []
    for threshold in (0.3, 0.1):
        data = codec.compress(image, threshold)
        sizes.append(len(data))
        psnrs.append(measure_distortion(codec.decompress(data), image).psnr_db)
    assert sizes[0] < sizes[1] < image.numel() / 16
    assert 22 < psnrs[0] < psnrs[1]


@pytest.mark.parametrize(("name", "size"), [("photo-f8", 160), ("small-f4", 96)])
def test_a_look_pays(name, size):
    codec = Codec.load(name)
    image = open_image_set("samples").read(2)[:, :size, :size]
    words = {"stop": "in_context", "bound": False, "tune": "psnr"}
    plain, looked = (codec.compress(image, 0.1, effort=effort, **words) for effort in (0, 1))
    assert codec.compress(image, 0.1, **words) == looked
    psnr = [measure_distortion(codec.decompress(data), image).psnr_db for data in (plain, looked)]
    # 2.4 dB for each doubling of the bytes is the usual price.
    assert psnr[1] - psnr[0] > 0.05 + 2.4 * math.log2(len(looked) / len(plain))
