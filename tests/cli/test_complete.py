import pytest
import torch
from PIL import Image

from loopyvq.checkpoint import load_tokenizer
from loopyvq.data import open_image_set, to_float, to_pil, to_uint8
from loopyvq.generation import REGIONS
from loopyvq.token_file import read_token_file


@pytest.fixture
def photo(workspace, tmp_path):
    image = open_image_set(workspace / "photos" / "0.png").read(0)[:, :32, :32]
    to_pil(image).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def complete(run, prior, photo, *words):
    folder = photo.parent
    return run(
        *("complete", prior, photo, "--out", folder / "out", "--tokens-out", folder / "tokens"),
        *words,
    )


def tokens_of(photo, number=0):
    return read_token_file(photo.parent / "tokens" / f"{number:05}.tokens").tokens


def test_what_is_kept_stays_and_the_rest_is_drawn(run, prior, photo, workspace):
    code, out, err = complete(run, prior, photo, "--count", 3, "--gif")
    assert code == 0, err
    assert "3 completions" in out
    assert "from 8 of 16 sites" in out
    tokenizer = load_tokenizer(workspace / "run")
    image = to_float(open_image_set(photo).read(0)).unsqueeze(0)
    codes, lengths = tokenizer.encode(image, 0.5, 4)
    found = [tokens_of(photo, number) for number in range(3)]
    for tokens in found:
        assert torch.equal(tokens.codes[:2], codes[0, :2])
    assert not torch.equal(found[0].codes[2:], found[1].codes[2:])
    with Image.open(photo.parent / "out" / "canvas.gif") as film:
        assert film.n_frames > 2
    with Image.open(photo.parent / "out" / "sheet.png") as sheet:
        assert sheet.size == (2 + 5 * 34, 2 + 34)
    decoded = to_uint8(tokenizer.decode(tokenizer.encode(image, 0.5), 0.5))[0]
    first = open_image_set(photo.parent / "out" / "sheet.png").read(0)[:, 2:34, 2:34]
    assert torch.equal(first, decoded)
    assert lengths.shape == (1, 4, 4)


def test_a_mask_of_the_persons_own(run, prior, photo):
    mask = torch.zeros(1, 32, 32, dtype=torch.uint8)
    mask[:, :, :9] = 255
    to_pil(mask).save(photo.parent / "mask.png")
    code, out, err = complete(run, prior, photo, "--keep", photo.parent / "mask.png")
    assert code == 0, err
    assert "from 4 of 16 sites" in out


def test_images_larger_than_the_prior(run, prior, workspace, tmp_path):
    words = ["--keep", "left-half", "--count", 2, "--out", tmp_path, "--class", "River"]
    code, out, err = run("complete", prior, workspace / "photos" / "0.png", *words)
    assert code == 0, err
    assert "from 10 of 25 sites" in out
    with Image.open(tmp_path / "00001.png") as image:
        assert image.size == (33, 40)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--count", 0], "--count must be at least 1, got 0"),
        (["--keep", "upper"], "there is no part 'upper': choose one of top-half, "),
        (["--keep", "nowhere.png"], "there is no file or folder nowhere.png"),
        (["--keep", "SMALL"], "a mask must be as large as its image"),
        (["--keep", "WHITE"], "white.png leaves nothing to draw"),
        (["--class", "Forrest"], "did you mean 'Forest'?"),
        (["--colour", "red"], "unknown option --colour"),
    ],
)
def test_what_cannot_be_completed(run, prior, photo, words, message):
    small = photo.parent / "small.png"
    to_pil(torch.zeros(1, 9, 9, dtype=torch.uint8)).save(small)
    white = photo.parent / "white.png"
    to_pil(torch.full_like(open_image_set(photo).read(0)[:1], 255)).save(white)
    named = {"SMALL": small, "WHITE": white}
    code, _, err = complete(run, prior, photo, *(named.get(word, word) for word in words))
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_one_image_is_gone_on_from(run, prior, workspace):
    code, _, err = run("complete", prior, workspace / "photos")
    assert code == 2
    assert "goes on from one image" in err
    assert "holds 6" in err


def test_an_image_that_is_not_there(run, prior):
    code, _, err = run("complete", prior, "nowhere.png")
    assert code == 2
    assert "there is no file or folder nowhere.png" in err


def test_the_help_names_all_parts(run):
    code, out, _ = run("complete", "--help")
    assert code == 0
    assert ",".join(REGIONS) in "".join(out.split())  # lines break at hyphens
