import pytest
import torch

from loopyvq.data.palettes import PALETTES, load_palette, nearest_colour, paint_labels
from loopyvq.errors import ConfigError


@pytest.mark.parametrize("name", PALETTES)
def test_painted_labels_are_found_again_through_noise(name):
    colours = PALETTES[name]
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(len(colours), (20, 30), generator=generator)
    painted = paint_labels(labels, len(colours), colours)
    assert painted.shape == (3, 20, 30)
    noise = torch.randint(-8, 9, painted.shape, generator=generator)
    smeared = (painted.int() + noise).clamp(0, 255).to(torch.uint8)
    assert torch.equal(nearest_colour(smeared, colours)[0].long(), labels)


def test_ties_go_to_the_lower_label():
    between = torch.tensor([[[1]], [[0]], [[0]]], dtype=torch.uint8)
    assert nearest_colour(between, ((2, 0, 0), (0, 0, 0))).item() == 0
    assert nearest_colour(between, ((0, 0, 0), (2, 0, 0))).item() == 0


@pytest.mark.parametrize("number", [1, 12, 256])
def test_every_label_has_a_colour_of_its_own(number):
    painted = paint_labels(torch.arange(number)[None], number)
    assert len({tuple(colour) for colour in painted[:, 0].T.tolist()}) == number


def test_palettes_from_files(tmp_path):
    path = tmp_path / "colours.txt"
    path.write_text("# sky, ground\n0 0 255\n\n  90 60   0\n")
    assert load_palette(str(path)) == ((0, 0, 255), (90, 60, 0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has 0"),
        ("1 2 3\n" * 257, "has 257"),
        ("1 2\n", "three whole numbers"),
        ("1 2 red\n", "three whole numbers"),
        ("1 2 256\n", "from 0 to 255"),
        ("-1 2 3\n", "from 0 to 255"),
    ],
)
def test_wrong_palettes(tmp_path, text, message):
    path = tmp_path / "colours.txt"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_palette(str(path))


def test_missing_and_binary_palettes(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name in ("absent.txt", "binary", "nul\0"):
        with pytest.raises(ConfigError, match=r"there is no palette .* one of cmp_facades"):
            load_palette(str(tmp_path / name))
