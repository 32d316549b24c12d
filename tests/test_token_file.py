import contextlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.errors import BitstreamError
from loopyvq.tensor_file import write_tensors
from loopyvq.token_file import TokenFile, read_token_file, write_token_file
from loopyvq.tokens import CONTINUE, PAD, Tokens

CODES = torch.tensor([[[3, CONTINUE, 1], [PAD, PAD, PAD]]])
FILE = TokenFile(Tokens(CODES, torch.tensor([[3, 0]])), 8, 13, 0.25, 40000, "abc")


def test_a_file_comes_back_as_it_was(tmp_path):
    path = tmp_path / "deep" / "a.tokens"
    write_token_file(path, FILE)
    back = read_token_file(path)
    assert torch.equal(back.tokens.codes, CODES)
    assert torch.equal(back.tokens.lengths, FILE.tokens.lengths)
    assert back[1:] == FILE[1:]


@pytest.mark.parametrize("size", [4, 1 << 15, 1 << 20])
def test_every_codebook_size_fits(tmp_path, size):
    codes = torch.tensor([[[size - 1]]])
    write_token_file(
        tmp_path / "a", FILE._replace(tokens=Tokens(codes, torch.tensor([[1]])), codebook_size=size)
    )
    assert int(read_token_file(tmp_path / "a").tokens.codes) == size - 1


@pytest.mark.parametrize(
    "change",
    [
        {"height": 0},
        {"width": 1 << 40},
        {"threshold": -1.0},
        {"threshold": float("nan")},
        {"codebook_size": 2},
        {"height": "tall"},
    ],
)
def test_contradictions_are_refused(tmp_path, change):
    header = {**FILE._asdict(), **change}
    header.pop("tokens")
    tensors = {"codes": CODES, "lengths": FILE.tokens.lengths}
    write_tensors(tmp_path / "a", "token file", tensors, **header)
    with pytest.raises(BitstreamError, match="no valid tokens"):
        read_token_file(tmp_path / "a")


def test_a_file_without_codes_or_with_a_flat_grid(tmp_path):
    header = {k: v for k, v in FILE._asdict().items() if k != "tokens"}
    write_tensors(tmp_path / "a", "token file", {"lengths": torch.zeros(1)}, **header)
    with pytest.raises(BitstreamError, match="codes"):
        read_token_file(tmp_path / "a")
    flat = {"codes": CODES[0], "lengths": FILE.tokens.lengths[0]}
    write_tensors(tmp_path / "a", "token file", flat, **header)
    with pytest.raises(BitstreamError, match="must be a grid"):
        read_token_file(tmp_path / "a")


@given(
    edits=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8),
    cut=st.integers(0, 40),
)
@settings(max_examples=150, deadline=None)
def test_any_damage_is_one_kind_of_error(tmp_path_factory, edits, cut):
    path = tmp_path_factory.mktemp("fuzz") / "a.tokens"
    write_token_file(path, FILE)
    blob = bytearray(path.read_bytes())
    for position, value in edits:
        blob[position % len(blob)] = value
    path.write_bytes(bytes(blob[: len(blob) - cut]))
    with contextlib.suppress(BitstreamError):
        read_token_file(path).tokens.validate(1 << 31)


@pytest.mark.parametrize(
    "change", [{"height": 0}, {"threshold": float("nan")}, {"tokens": FILE.tokens.prefix(1)}]
)
def test_what_cannot_be_read_is_not_written(tmp_path, change):
    if "tokens" in change:  # of more turns than a length has room for
        codes = torch.nn.functional.pad(CODES, (0, 297), value=PAD)
        change = {"tokens": Tokens(codes, FILE.tokens.lengths)}
    with pytest.raises(ValueError, match=r"cannot be|at most 255 turns"):
        write_token_file(tmp_path / "a", FILE._replace(**change))
    assert not (tmp_path / "a").exists()
