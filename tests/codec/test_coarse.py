import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.codec.coarse import add_coarse, fit_coarse, read_coarse, without_coarse
from loopyvq.coding.integers import decode_integers, encode_integers
from loopyvq.errors import BitstreamError
from tests.codec.conftest import make_image
from tests.ops.test_cubic import by_the_formula

LIKELY = np.array([64, 32, 32, 16, 16, 8, 8, 4, 4, 2, 2, 1, 1])


def sites_of(image):
    return -(-image.shape[1] // 8), -(-image.shape[2] // 8)


def tinted(image, strength=6.0):
    """The image, greener to the right and bluer below."""
    height, width = image.shape[1:]
    tint = torch.zeros(image.shape)
    tint[1 % len(image)] += strength * torch.linspace(0, 1, width)
    tint[-1] += strength * torch.linspace(0, 1, height).unsqueeze(1)
    return (image.float() + tint).round().clamp(0, 255).to(torch.uint8)


def squared_error(image, other):
    return float((image.double() - other.double()).square().sum())


@given(
    st.sampled_from((1, 3)),
    st.integers(1, 150),
    st.integers(1, 150),
    st.floats(0.01, 300),
    st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_what_is_read_is_what_was_fitted_and_pays(channels, height, width, price, seed):
    painted = make_image(height, width, channels, seed)
    image = tinted(painted)
    found = fit_coarse(image, painted, sites_of(image), price)
    if found is None:
        assert min(height, width) < 64 or price > 10
        return
    grid = read_coarse(found.payload, channels, sites_of(image))
    assert torch.equal(grid, found.grid)
    seen = add_coarse(painted.clone(), grid)
    saved = squared_error(image, painted) - squared_error(image, seen)
    assert saved > price * 8 * len(found.payload)


def test_smooth_differences_vanish_and_cost_little():
    painted = make_image(400, 330)
    image = tinted(painted)
    found = fit_coarse(image, painted, sites_of(image), 3.0)
    assert len(found.payload) < 150
    seen = add_coarse(painted.clone(), found.grid)
    assert squared_error(image, seen) < 0.05 * squared_error(image, painted)
    coarser = fit_coarse(image, painted, sites_of(image), 3000.0)
    assert len(coarser.payload) < len(found.payload)


def test_differences_that_vanish_in_rounding_are_not_said():
    painted = torch.full((1, 256, 256), 255, dtype=torch.uint8)
    image = painted.clone()
    image[:, ::3, ::3] -= 1  # a ninth of a level on average: no grid changes a pixel
    assert fit_coarse(image, painted, (32, 32), 1e-6) is None


def test_what_does_not_pay_is_not_said():
    image = make_image(64, 64)
    noise = torch.randint(0, 3, image.shape, generator=torch.Generator().manual_seed(0))
    noisy = (image // 2 + noise).to(torch.uint8)
    assert fit_coarse(image, image, (8, 8), 1.0) is None
    assert fit_coarse(image // 2, noisy, (8, 8), 1e6) is None


def test_the_format_as_its_page_describes_it():
    painted = make_image(300, 520)
    image = tinted(painted)
    found = fit_coarse(image, painted, (38, 65), 20.0)
    # 38 x 65 sites: 5 x 9 cells, 3 x 5, and 2 x 3, from which the file begins.
    sizes = [(2, 3), (3, 5), (5, 9)]
    numbers = decode_integers(found.payload[1:], 3 * (6 + 15 + 45), LIKELY)
    grid, start = np.zeros((3, 2, 3)), 0
    for level, (rows, columns) in enumerate(sizes):
        step = 2 ** (found.payload[0] / 8 - 8) / 2 ** (2 - level)
        down, across = by_the_formula(grid.shape[1], rows), by_the_formula(grid.shape[2], columns)
        part = numbers[start : start + 3 * rows * columns].reshape(3, rows, columns)
        grid = down.numpy() @ grid @ across.numpy().T + part * step
        start += part.size
    brightness, red_to_blue, green_to_purple = grid
    colours = np.stack(
        [
            brightness / 3**0.5 + red_to_blue / 2**0.5 + green_to_purple / 6**0.5,
            brightness / 3**0.5 - 2 * green_to_purple / 6**0.5,
            brightness / 3**0.5 - red_to_blue / 2**0.5 + green_to_purple / 6**0.5,
        ]
    )
    assert np.allclose(colours, found.grid.numpy())
    levels = by_the_formula(5, 300).numpy() @ colours @ by_the_formula(9, 520).numpy().T
    expected = np.rint(painted.numpy() + levels).clip(0, 255)
    assert np.abs(expected - add_coarse(painted.clone(), found.grid).numpy()).max() <= 1


def test_levels_stay_within_eight_bits():
    image = torch.tensor([0, 128, 255], dtype=torch.uint8).expand(3, 4, 3)
    grid = torch.full((3, 1, 1), 40.0, dtype=torch.float64)
    assert without_coarse(image, grid)[0, 0].tolist() == [0, 88, 215]
    assert image[0, 0].tolist() == [0, 128, 255]
    assert add_coarse(image.contiguous(), grid)[0, 0].tolist() == [40, 168, 255]


@given(
    st.integers(0, 255),
    st.sampled_from((1, 3)),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, 2**31 - 1) | st.integers(0, 9),
    st.integers(0, 99),
)
@settings(max_examples=100, deadline=None)
def test_any_numbers_are_a_grid_and_give_levels(byte, channels, rows, columns, largest, seed):
    sizes = [(-(-rows // 8), -(-columns // 8))]
    while max(sizes[-1]) > 4:
        sizes.append(tuple(-(-side // 2) for side in sizes[-1]))
    count = channels * sum(height * width for height, width in sizes)
    numbers = np.random.default_rng(seed).integers(-largest, largest + 1, count)
    payload = bytes([byte]) + encode_integers(numbers, LIKELY)
    grid = read_coarse(payload, channels, (rows, columns))
    assert grid.shape == (channels, *sizes[0])
    assert grid.isfinite().all()
    assert add_coarse(torch.zeros(channels, 9, 11, dtype=torch.uint8), grid).shape[2] == 11
    with pytest.raises(BitstreamError):
        read_coarse(payload + b"\0", channels, (rows, columns))


@given(st.binary(max_size=40))
@settings(max_examples=100, deadline=None)
def test_other_bytes_are_refused(payload):
    with pytest.raises(BitstreamError):
        read_coarse(payload, 3, (40, 40))


def test_nothing_is_no_grid():
    with pytest.raises(BitstreamError, match="coarse residual is empty"):
        read_coarse(b"", 3, (8, 8))
