import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.checkpoint import save_tokenizer
from loopyvq.codec import (
    Codec,
    ReadingLimits,
    Target,
    compress_array,
    decompress_array,
    save_tables,
)
from loopyvq.codec.quality import measure_quality
from loopyvq.coding import MODES, Chunk, read_container, write_container
from loopyvq.errors import BitstreamError, ConfigError, LoopyVQError
from tests.codec.conftest import make_image, make_tokenizer


@given(
    height=st.integers(1, 41),
    width=st.integers(1, 41),
    threshold=st.sampled_from([0.0, 0.003, 0.1, 0.5, 3.0]),
    mode=st.sampled_from(list(MODES)),
    stop=st.sampled_from(["threshold", "rate_distortion"]),
    grey=st.booleans(),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_every_site_is_within_the_bound(codec, height, width, threshold, mode, stop, grey):
    image = make_image(height, width, 1 if grey else 3, seed=height)
    data = codec.compress(image, threshold, stop=stop, mode=mode)
    found = codec.verify(data, image)
    assert found.bound == found.threshold
    assert found.worst <= found.threshold <= threshold
    decoded = codec.decompress(data)
    assert decoded.shape == image.shape
    assert decoded.dtype == torch.uint8
    assert codec.compress(image, threshold, stop=stop, mode=mode) == data


def test_a_header_takes_24_bytes(codec):
    data = codec.compress(make_image(136, 130), 0.5)
    first = read_container(data).chunks[0].payload
    assert data.index(first) - 3 == 24  # kind and length of the first chunk, 1 + 2 bytes


def test_a_fresh_process_with_other_threads_decodes_the_same(
    codec, tokenizer, tables, image, tmp_path
):
    save_tokenizer(tmp_path / "model.safetensors", tokenizer)
    save_tables(tmp_path / "model.safetensors", tables)
    data = codec.compress(image, 0.2)
    (tmp_path / "image.lvq").write_bytes(data)
    vectors = np.random.default_rng(0).normal(size=(200, 5))
    array = compress_array(vectors, 0.2)
    (tmp_path / "array.lvq").write_bytes(array)
    script = f"""
import torch; torch.set_num_threads(2)
from pathlib import Path
import numpy as np
from loopyvq.codec import Codec, decompress_array
folder = Path({str(tmp_path)!r})
codec = Codec.load(folder / "model.safetensors")
np.save(folder / "z_q.npy", codec.decode_sites((folder / "image.lvq").read_bytes()).z_q)
np.save(folder / "array.npy", decompress_array((folder / "array.lvq").read_bytes()))
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    z_q = np.load(tmp_path / "z_q.npy")
    assert np.array_equal(z_q, codec.decode_sites(data).z_q)
    decoded = np.load(tmp_path / "array.npy")
    assert np.array_equal(decoded, decompress_array(array))
    assert np.linalg.norm(decoded - vectors, axis=1).max() <= 0.2


@pytest.mark.parametrize("cut", ["turns", "bytes"])
def test_prefixes_decode_to_coarser_images(codec, image, cut):
    data = codec.compress(image, 0.05)
    container = read_container(data)
    count = sum(chunk.kind == "tokens" for chunk in container.chunks)
    length, errors = len(write_container(container.header, [])), []
    for turns in range(count + 1):
        if cut == "turns":
            sites = codec.decode_sites(data, turns=turns)
        else:
            sites = codec.decode_sites(data[:length], partial=True)
            if turns < len(container.chunks):
                length = len(write_container(container.header, container.chunks[: turns + 1]))
        latents = codec.decode_sites(data).z_q
        errors.append(float(np.square(sites.z_q - latents).sum()))
        assert (sites.bound is not None) == (cut == "turns" and turns == count)
    assert errors == sorted(errors, reverse=True)
    assert len(set(errors)) > 2


@pytest.mark.parametrize(
    ("kind", "value"),
    [("psnr_db", 12.75), ("num_bytes", 300), ("rate_bpp", 0.8), ("pixel_error", 200)],
)
def test_targets_are_met_and_noted(codec, image, kind, value):
    target = Target(kind, float(value))
    data = codec.compress(image, target=target)
    header = read_container(data).header
    sizes = {"num_bytes": float(len(data)), "rate_bpp": 8 * len(data) / (53 * 70)}
    found = sizes.get(kind) or measure_quality(kind, codec.decompress(data), image)
    assert target.is_met_by(found)
    assert header.target == kind
    assert header.target_value == pytest.approx(found, rel=1e-6)


def test_unreachable_targets_name_what_can_be_reached(codec, image):
    with pytest.raises(ConfigError, match=r"90 dB cannot be reached .* gives .* to .* dB"):
        codec.compress(image, target=Target("psnr_db", 90.0))
    with pytest.raises(ConfigError, match="10 bytes cannot be reached"):
        codec.compress(image, target=Target("num_bytes", 10.0))


def test_qualities_order_sizes(codec, image):
    sizes = [len(codec.compress(image, quality=quality)) for quality in (1.0, 50.0, 100.0)]
    assert sizes == sorted(sizes)
    header = read_container(codec.compress(image, quality=50.0)).header
    assert (header.target, header.target_value) == ("quality", 50.0)


def test_wrong_arguments_say_so(codec, image):
    for arguments in (
        {"threshold": -1.0},
        {"threshold": float("nan")},
        {"threshold": 0.1, "quality": 3.0},
        {"threshold": 0.1, "mode": "zip"},
        {"threshold": 0.1, "stop": "never"},
        {"quality": 0.5},
        {"target": Target("beauty", 1.0)},
    ):
        with pytest.raises(ConfigError):
            codec.compress(image, **arguments)
    with pytest.raises(ConfigError, match="evaluation mode"):
        Codec(make_tokenizer().train())
    with pytest.raises(ConfigError, match="turns"):
        codec.decompress(b"", turns=-1)


def test_files_of_other_models_and_tables_are_refused(codec, tokenizer, image):
    with_tables = codec.compress(image, 0.3)
    plain = Codec(tokenizer)
    with pytest.raises(BitstreamError, match="by model"):
        plain.decompress(with_tables)
    without = plain.compress(image, 0.3)
    assert torch.equal(codec.decompress(without), plain.decompress(without))
    with pytest.raises(ConfigError, match="needs a model with tables"):
        plain.compress(image, 0.3, mode="static")


def test_limits_come_before_any_work(codec, tokenizer, image):
    header = read_container(codec.compress(image, 0.3)).header
    huge = write_container(header._replace(height=1 << 31, width=1 << 31), [])
    with pytest.raises(BitstreamError, match="allowed"):
        codec.decompress(huge)
    small = Codec(tokenizer, codec.tables, ReadingLimits(max_pixels=100))
    with pytest.raises(BitstreamError, match="allowed 100"):
        small.decompress(codec.compress(image, 0.3))
    for change in ({"max_depth": 9}, {"channels": 0}, {"channels": 7}, {"width": 0}):
        with pytest.raises(BitstreamError):
            codec.decompress(write_container(header._replace(**change), []))
    codebook = write_container(header, [Chunk("codebook", b"")])
    with pytest.raises(BitstreamError, match="chunks"):
        codec.decompress(codebook)


@given(data=st.data())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_damage_is_a_bitstream_error_or_another_image(codec, data):
    """Check sums are mended, so that damage gets past them."""
    original = codec.compress(make_image(40, 41), data.draw(st.sampled_from([0.0, 0.05, 0.4])))
    container = read_container(original)
    index = data.draw(st.integers(0, len(container.chunks) - 1))
    kind, payload = container.chunks[index]
    broken = bytearray(payload)
    for _ in range(data.draw(st.integers(1, 3))):
        if broken:
            place = data.draw(st.integers(0, len(broken) - 1))
            broken[place] = data.draw(st.integers(0, 255))
    broken = (
        broken[: data.draw(st.integers(0, len(broken)))] if data.draw(st.booleans()) else broken
    )
    chunks = [*container.chunks]
    chunks[index] = Chunk(kind, bytes(broken))
    try:
        codec.decompress(write_container(container.header, chunks))
    except LoopyVQError as error:
        assert isinstance(error, BitstreamError)  # noqa: PT017


@given(st.integers(0, 10**6), st.integers(0, 255))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_damage_in_the_file_is_noticed(codec, place, byte):
    data = bytearray(codec.compress(make_image(24, 24), 0.2))
    place %= len(data)
    if data[place] == byte:
        return
    data[place] = byte
    with pytest.raises(BitstreamError):
        codec.decompress(bytes(data))
    with pytest.raises(BitstreamError):
        codec.decompress(bytes(data[:place]))


def test_a_grey_model_takes_grey_images_only(image):
    codec = Codec(make_tokenizer(image_channels=1))
    grey = image[:1]
    assert codec.decompress(codec.compress(grey, 0.3)).shape == grey.shape
    assert codec.decompress(codec.compress(grey.numpy(), 0.3)).shape == grey.shape
    with pytest.raises(ConfigError, match="takes 1 channels"):
        codec.compress(image, 0.3)


def test_verify_needs_the_same_size(codec, image):
    data = codec.compress(image, 0.4)
    with pytest.raises(BitstreamError, match="the file holds 3 x 53 x 70"):
        codec.verify(data, image[:, :50])
