from pathlib import Path

import pytest
import torch

from loopyvq.codec import Codec
from loopyvq.coding import read_container
from loopyvq.errors import ConfigError
from loopyvq.evaluation.rd_systems import Reading, files_of
from tests.codec.conftest import make_image, make_tables, make_tokenizer


@pytest.fixture(scope="module")
def codec():
    return Codec(make_tokenizer())


def test_thresholds_give_a_file_each(codec):
    image = make_image(40, 48)
    reading = Reading("a", Path("a"), thresholds=(0.5, 0.1))
    files = dict(files_of(codec, image, reading))
    assert list(files) == ["0.5", "0.1"]
    assert len(files["0.1"]) > len(files["0.5"])
    assert codec.decode_sites(files["0.1"]).tokens.lengths.min() == 1
    bounded = dict(files_of(codec, image, reading._replace(stop="threshold", bound=True)))
    assert codec.verify(bounded["0.1"], image).share_within == 1
    with pytest.raises(ConfigError, match="stop"):
        dict(files_of(codec, image, reading._replace(stop="never")))


def test_a_fixed_depth_gives_every_site_the_same_number_of_tokens(codec):
    files = dict(files_of(codec, make_image(40, 48), Reading("a", Path("a"), fixed_depth=True)))
    assert list(files) == ["1 turns", "2 turns", "3 turns", "4 turns"]
    for turns, data in enumerate(files.values(), start=1):
        lengths = codec.decode_sites(data).tokens.lengths
        assert torch.equal(lengths, torch.full_like(lengths, turns))
    # The decoder is told of coarse images that they are.
    cues = [read_container(data).header.threshold for data in files.values()]
    assert cues == sorted(cues, reverse=True)


def test_codes_at_a_fixed_depth_may_be_priced(codec):
    image = make_image(96, 112)
    priced = Reading("a", Path("a"), fixed_depth=True, priced=True, tune="psnr")
    with pytest.raises(ConfigError, match="loopyvq tables"):
        dict(files_of(codec, image, priced))
    fitted = Codec(codec.tokenizer, make_tables(codec.tokenizer))
    found = dict(files_of(fitted, image, priced))
    plain = dict(files_of(fitted, image, priced._replace(priced=False)))
    assert list(found)[:4] == list(plain)
    dear, cheap = "4 turns", "4 turns at 0.15 of the price"
    assert list(found)[-1] == cheap
    assert len(found[dear]) < len(found[cheap])
    blind = dict(files_of(fitted, image, priced._replace(effort=0)))
    assert len(blind["4 turns"]) < len(plain["4 turns"])
    assert blind != found
    for name, data in found.items():
        lengths = fitted.decode_sites(data).tokens.lengths
        assert torch.equal(lengths, torch.full_like(lengths, int(name.split()[0])))
        assert (
            read_container(data).header.threshold
            == read_container(plain[name[:7]]).header.threshold
        )
