import math

import pytest
import torch

from loopyvq.codec import Codec, Target
from loopyvq.codec import writer as writer_module
from loopyvq.coding import read_container, write_container
from loopyvq.errors import ConfigError
from tests.codec.conftest import make_image, make_tables, make_tokenizer


def test_a_writer_writes_what_compress_writes(codec, image):
    writer = codec.writer(image)
    for threshold in (0.5, 0.1):
        assert writer.write(threshold).data == codec.compress(image, threshold)
    free = codec.compress(image, 0.3, stop="rate_distortion", bound=False, min_length=0)
    assert writer.write(0.3, "rate_distortion", False, 0).data == free
    target = Target("num_bytes", 300.0)
    assert writer.reach(target, "threshold", False) == codec.compress(
        image, target=target, stop="threshold", bound=False
    )


def test_looking_again_gives_better_images_for_their_bytes(monkeypatch):
    # Aims alone; what is said over wide areas is another test's.
    monkeypatch.setattr(writer_module, "fit_coarse", lambda *_: None)
    tokenizer = make_tokenizer(linear_path=True)
    codec = Codec(tokenizer, make_tables(tokenizer))
    image = make_image(96, 112)
    files = [
        codec.compress(image, 0.3, stop="in_context", bound=False, tune="psnr", effort=effort)
        for effort in (0, 1)
    ]
    assert codec.compress(image, 0.3, stop="in_context", bound=False, tune="psnr") == files[1]
    assert (
        codec.writer(image, tune="psnr", effort=1).write(0.3, "in_context", False).data == files[1]
    )
    errors = [float((codec.decompress(data).double() - image).square().mean()) for data in files]
    # A tenth more bytes would be worth more than this.
    assert errors[1] < 0.95 * errors[0]
    assert len(files[1]) < 1.1 * len(files[0])


def test_what_tokens_leave_over_wide_areas_is_said_once():
    tokenizer = make_tokenizer(linear_path=True)
    codec = Codec(tokenizer, make_tables(tokenizer))
    image = make_image(136, 160)
    options = {"stop": "in_context", "bound": False, "tune": "psnr"}
    data = codec.compress(image, 0.3, **options)
    header, (coarse, *tokens) = read_container(data)
    assert coarse.kind == "coarse"
    assert {chunk.kind for chunk in tokens} == {"tokens"}
    bare = write_container(header, tokens)
    with_it, without = (
        float((codec.decompress(file).double() - image).square().mean()) for file in (data, bare)
    )
    assert with_it < without
    cut = data[: len(write_container(header, [coarse, tokens[0]]))]
    assert codec.decode_sites(cut, partial=True).coarse is not None
    for other in ({"effort": 0}, {"bound": True}):
        kinds = {
            chunk.kind
            for chunk in read_container(codec.compress(image, 0.3, **options | other)).chunks
        }
        assert "coarse" not in kinds


def test_targets_count_what_is_coarse():
    tokenizer = make_tokenizer(linear_path=True)
    codec = Codec(tokenizer, make_tables(tokenizer))
    image = make_image(136, 160)
    data = codec.compress(image, target=Target("psnr_db", 20.0))
    header, (coarse, *_) = read_container(data)
    assert coarse.kind == "coarse"
    error = float((codec.decompress(data).double() - image).square().mean())
    assert header.target_value == pytest.approx(10 * math.log10(255**2 / error), abs=1e-4)


def test_a_bound_is_about_the_latents_and_leaves_nothing_to_look_for(codec, image):
    aimed, plain = (
        codec.writer(image, effort=effort).write(0.3, "in_context", True).data for effort in (3, 0)
    )
    assert aimed == plain
    for words in ({"stop": "in_context"}, {"stop": "rate_distortion", "bound": False}, {}):
        with pytest.raises(ConfigError, match="effort"):
            codec.compress(image, 0.3, effort=1, **words)
    with pytest.raises(ConfigError, match="effort must be 0 or more, got -1"):
        codec.compress(image, 0.3, stop="in_context", bound=False, effort=-1)


def test_files_without_a_promise_state_their_worst_site(codec, image):
    data = codec.compress(image, 0.3, stop="rate_distortion", bound=False)
    found = codec.verify(data, image)
    assert found.worst <= found.bound <= max(found.worst, 0.3) * 1.03
    assert codec.decode_sites(data, turns=1).bound is None
    assert read_container(data).header.stated_bound == found.bound


def test_models_of_fixed_depth_promise_nothing_unless_told(image):
    tokenizer = make_tokenizer()
    object.__setattr__(tokenizer.config.quantizer, "threshold", 0.0)
    codec = Codec(tokenizer)
    kinds = {chunk.kind for chunk in read_container(codec.compress(image)).chunks}
    assert kinds == {"tokens"}
    kinds = {chunk.kind for chunk in read_container(codec.compress(image, 0.0)).chunks}
    assert kinds == {"tokens", "escape"}


def test_the_image_must_have_the_models_channels(codec):
    with pytest.raises(ConfigError, match="takes 3 channels"):
        codec.writer(torch.zeros(2, 8, 8, dtype=torch.uint8))
    assert codec.writer(make_image(9, 9, 1)).aim.latents.shape == (2, 2, 4)


def test_tiny_images_have_no_similarity_to_aim_at(codec):
    with pytest.raises(ConfigError, match="SSIM needs at least 11 pixels along each side"):
        codec.compress(make_image(10, 40), target=Target("ssim", 0.5))
