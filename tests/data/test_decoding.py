import copy
import io
import pickle
import struct
import threading
import zlib

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from loopyvq.data import BrokenImageError, decode_image, to_float, to_pil, to_uint8
from loopyvq.data.decoding import decode_with
from loopyvq.data.pixel_modes import to_grey_or_rgb
from loopyvq.errors import DataError


def photo(width=24, height=16, mode="RGB"):
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 // width, y * 255 // height, (x + y) * 4], -1).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(image, file_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def png(width, height, depth, colour, rows, *chunks):
    def chunk(kind, body):
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + data + chunk(b"IEND", b"")


def pixel(blob, x=0, y=0, channels=3):
    return decode_image(blob, "pixel", channels=channels)[:, y, x].tolist()


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP", "PPM"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_lossless_formats_are_exact(file_format, mode):
    image = photo(mode=mode)
    expected = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    decoded = decode_image(encoded(image, file_format), "photo")
    assert decoded.is_contiguous()
    np.testing.assert_array_equal(decoded.numpy(), expected)
    grey = decode_image(encoded(image, file_format), "photo", channels=1)
    np.testing.assert_array_equal(grey[0].numpy(), np.asarray(image.convert("L")))


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "AVIF", "GIF"])
def test_lossy_formats_are_close(file_format):
    decoded = decode_image(encoded(photo(), file_format), "photo")
    expected = np.asarray(photo()).transpose(2, 0, 1)
    assert decoded.shape == (3, 16, 24)
    assert np.abs(decoded.numpy().astype(int) - expected).mean() < 10


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for file_format in ("GIF", "TIFF", "PNG"):
        blob = encoded(frames[0], file_format, save_all=True, append_images=frames[1:])
        assert pixel(blob) == [255, 0, 0]
    blob = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert pixel(blob) == [255, 0, 0]


def test_multi_picture_jpeg():
    blob = encoded(photo(), "MPO", save_all=True, append_images=[photo()])
    assert decode_image(blob, "phone.jpg").shape == (3, 16, 24)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(file_format, orientation):
    upright = Image.new("RGB", (48, 32), "black")
    upright.paste("red", (0, 0, 16, 16))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode_image(encoded(stored, file_format, exif=exif), "turned").float()
    assert decoded.shape == (3, 32, 48)
    assert decoded[0, :12, :12].mean() > 230
    assert decoded[0, 20:].mean() < 20
    assert decoded[0, :, 20:].mean() < 20


def test_unreadable_exif_means_upright():
    blob = encoded(photo(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff nonsense")
    assert decode_image(blob, "odd").shape == (3, 16, 24)
    exif = Image.Exif()
    exif[0x0112] = 77
    assert decode_image(encoded(photo(), "JPEG", exif=exif), "odd").shape == (3, 16, 24)


def test_alpha_is_composited_over_white():
    assert pixel(encoded(Image.new("RGBA", (2, 2), (255, 0, 0, 0)), "PNG")) == [255] * 3
    assert pixel(encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 128)), "PNG")) == [127] * 3
    assert pixel(encoded(Image.new("LA", (2, 2), (0, 51)), "PNG")) == [204] * 3
    assert pixel(encoded(Image.new("LA", (2, 2), (0, 51)), "PNG"), channels=1) == [204]
    webp = encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 0)), "WEBP", lossless=True)
    assert pixel(webp) == [255] * 3


def test_transparent_palette_colour_and_palette_alpha():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    for file_format in ("PNG", "GIF"):
        blob = encoded(image, file_format, transparency=1)
        assert pixel(blob, 0) == [10, 20, 30]
        assert pixel(blob, 1) == [255] * 3
    assert pixel(encoded(image, "PNG", transparency=b"\x00\xff"), 0) == [255] * 3
    assert pixel(encoded(image, "PNG", transparency=b"\x00\xff"), 1) == [40, 50, 60]


def test_palette_with_alpha_mode():
    image = Image.new("PA", (2, 1))
    image.putpalette([10, 20, 30])
    image.putpixel((1, 0), (0, 255))
    assert np.asarray(to_grey_or_rgb(image, 3)).tolist() == [[[255] * 3, [10, 20, 30]]]


def test_transparent_colour_of_grey_and_rgb_png():
    assert pixel(encoded(Image.new("L", (1, 1), 9), "PNG", transparency=9)) == [255] * 3
    rgb = encoded(Image.new("RGB", (1, 1), (1, 2, 3)), "PNG", transparency=(1, 2, 3))
    assert pixel(rgb) == [255] * 3
    body = b"tRNS" + struct.pack(">H", 30000)
    trns = struct.pack(">I", 2) + body + struct.pack(">I", zlib.crc32(body))
    blob = png(2, 1, 16, 0, b"\0" + struct.pack(">HH", 30000, 30001), trns)
    assert [pixel(blob, 0), pixel(blob, 1)] == [[255] * 3, [117] * 3]


@pytest.mark.parametrize("channels", [1, 3])
def test_deep_grey_is_scaled(channels):
    ramp = np.array([[0, 257, 25700, 65535]], np.uint16)
    expected = [0, 1, 100, 255]
    blobs = [
        encoded(Image.fromarray(ramp), "PNG"),
        encoded(Image.fromarray(ramp), "TIFF"),
        encoded(Image.fromarray(ramp), "PPM"),
        encoded(Image.fromarray(ramp.astype(np.int32)), "TIFF"),
        encoded(Image.fromarray(ramp.astype(np.float32)), "TIFF"),
        encoded(Image.fromarray((ramp / 65535).astype(np.float32)), "TIFF"),
        encoded(Image.fromarray((ramp / 257).astype(np.float32)), "TIFF"),
        encoded(Image.fromarray(ramp.astype(np.int32) * 32767), "TIFF"),
    ]
    for blob in blobs:
        decoded = decode_image(blob, "deep", channels=channels)
        assert decoded.shape == (channels, 1, 4)
        assert decoded[-1, 0].tolist() == expected


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 1e6])
def test_floats_without_a_white_point_are_broken(value):
    image = Image.fromarray(np.full((2, 2), value, np.float32))
    with pytest.raises(BrokenImageError, match=r"hdr\.tif"):
        decode_image(encoded(image, "TIFF"), "hdr.tif")


def test_16_bit_rgb_png():
    rows = b"\0" + struct.pack(">HHH", 65535, 25700, 0)
    assert pixel(png(1, 1, 16, 2, rows)) == [255, 100, 0]
    rows = b"\0" + struct.pack(">HHHH", 65535, 25700, 0, 0)
    assert pixel(png(1, 1, 16, 6, rows)) == [255, 255, 255]


def test_other_colour_spaces():
    red = (255, 0, 0)
    for mode in ("CMYK", "YCbCr"):
        image = Image.new("RGB", (8, 8), red).convert(mode)
        for file_format in ("TIFF",) if mode == "YCbCr" else ("TIFF", "JPEG"):
            found = pixel(encoded(image, file_format))
            assert np.abs(np.subtract(found, red)).max() <= 4
            assert abs(pixel(encoded(image, file_format), channels=1)[0] - 76) <= 4
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(
        Image.new("RGB", (2, 2), (200, 60, 40)), srgb, lab, outputMode="LAB"
    )
    found = pixel(encoded(image, "TIFF"))
    assert np.abs(np.subtract(found, (200, 60, 40))).max() <= 3


def test_black_and_white():
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    for file_format in ("PNG", "TIFF", "BMP"):
        assert decode_image(encoded(image, file_format), "bits", channels=1).tolist() == [
            [[0, 255]]
        ]


def test_bombs_are_refused_by_their_header():
    huge = png(60_000, 60_000, 8, 2, b"")
    with pytest.raises(BrokenImageError, match=r"^cannot read the image bomb.png: it has 60000 x"):
        decode_image(huge, "bomb.png")
    with pytest.raises(BrokenImageError, match="24 x 16 pixels"):
        decode_image(encoded(photo(), "PNG"), "photo", max_pixels=383)
    decode_image(encoded(photo(), "PNG"), "photo", max_pixels=384)


def test_pillow_limits_do_not_interfere(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for file_format in ("PNG", "GIF", "TIFF", "WEBP"):
        assert decode_image(encoded(photo(), file_format), "photo").shape == (3, 16, 24)
    assert Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF"])
def test_truncated_images_are_broken(file_format):
    blob = encoded(photo(200, 150), file_format)
    for kept in (0, 1, 10, len(blob) // 4, len(blob) // 2):
        with pytest.raises(BrokenImageError, match=r"^cannot read the image cut: .+$"):
            decode_image(blob[:kept], "cut")


def test_no_image_and_wrong_arguments():
    with pytest.raises(DataError, match="no image of a known format") as caught:
        decode_image(b"%!PS-Adobe-3.0 EPSF-3.0", "a\nb.eps")
    assert "\n" not in str(caught.value)
    assert caught.value.name == "a\nb.eps"
    with pytest.raises(ValueError, match="channels"):
        decode_image(b"", "x", channels=4)


def test_broken_image_error_travels_between_processes():
    error = BrokenImageError("a.png", "gone")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (twin.name, twin.reason, str(twin)) == ("a.png", "gone", str(error))
    assert str(BrokenImageError("a whole message")) == "a whole message"


SEEDS = [
    encoded(photo(), "JPEG"),
    encoded(photo(mode="CMYK"), "JPEG", progressive=True),
    encoded(photo(), "PNG"),
    encoded(photo(mode="P"), "PNG", transparency=3),
    encoded(photo(), "TIFF"),
    encoded(photo(), "TIFF", compression="tiff_lzw"),
    encoded(photo(), "TIFF", compression="tiff_adobe_deflate"),
    encoded(photo(mode="F"), "TIFF"),
    encoded(photo(), "WEBP"),
    encoded(photo(), "AVIF"),
    encoded(photo(), "GIF"),
    encoded(photo(), "BMP"),
    encoded(photo(), "PPM"),
]


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_bytes_decode_or_are_broken(data):
    blob = bytearray(data.draw(st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, min(len(blob), 300) - 1))
        blob[place] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del blob[data.draw(st.integers(0, len(blob))) :]
    try:
        image = decode_image(bytes(blob), "fuzz", max_pixels=10**6)
    except BrokenImageError as error:
        message = str(error)
    else:
        assert image.dtype == torch.uint8
        assert image.shape[0] == 3
        return
    assert message.startswith("cannot read the image fuzz: ")
    assert "\n" not in message


def test_threads_leave_pillow_as_it_was():
    limit, blob = Image.MAX_IMAGE_PIXELS, encoded(photo(), "PNG")

    def work():
        for _ in range(50):
            decode_image(blob, "photo")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert limit == Image.MAX_IMAGE_PIXELS
    with pytest.raises(UserWarning, match="still an error"):
        __import__("warnings").warn("still an error", UserWarning, stacklevel=1)


def test_float_range_round_trip_is_exact():
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, 3, 16, 16)
    floats = to_float(every)
    assert floats.dtype == torch.float32
    assert (floats.min(), floats.max()) == (-1, 1)
    assert torch.equal(to_uint8(floats), every)
    assert to_uint8(torch.tensor([[[-9.0, 9.0]]])).tolist() == [[[0, 255]]]


def test_to_pil_round_trip():
    for mode, channels in (("RGB", 3), ("L", 1)):
        blob = encoded(photo(mode=mode), "PNG")
        image = decode_image(blob, "photo", channels=channels)
        assert to_pil(image).mode == mode
        assert torch.equal(
            decode_image(encoded(to_pil(image), "PNG"), "x", channels=channels), image
        )
    with pytest.raises(ValueError, match="1 or 3 channels"):
        to_pil(torch.zeros(2, 4, 4, dtype=torch.uint8))


def test_decode_with_hands_over_the_upright_picture():
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (3, 2), 7).save(buffer, "PNG", exif=exif)
    found = decode_with(np.asarray, buffer.getvalue(), "a.png", 6)
    assert found.tolist() == [[7, 7], [7, 7], [7, 7]]

    def refuse(_):
        raise KeyError("no")

    with pytest.raises(BrokenImageError, match=r"a\.png: 'no'"):
        decode_with(refuse, buffer.getvalue(), "a.png", 6)
    with pytest.raises(BrokenImageError, match="more than the allowed 5"):
        decode_with(np.asarray, buffer.getvalue(), "a.png", 5)
