import pytest
import torch

from loopyvq.interop.export import Decode, Encode
from loopyvq.quantize import LoopConfig, LoopQuantizer


@pytest.fixture
def quantizer():
    vectors = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    return LoopQuantizer.fit(vectors, LoopConfig(codebook_size=8, codebook_dim=3, max_depth=4))


def test_what_is_exported_computes_the_same(quantizer):
    z = torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    codes, lengths = Encode(quantizer)(z, torch.tensor(0.3))
    expected = quantizer.encode(z, 0.3)
    assert torch.equal(codes, expected.codes)
    assert torch.equal(lengths, expected.lengths)
    assert torch.equal(Decode(quantizer)(codes), quantizer.decode(expected))


def test_the_quantizer_stays_as_it_is(quantizer):
    exported = Encode(quantizer.train())
    assert quantizer.training
    assert not exported.quantizer.training
    assert any(True for _ in quantizer.gains.parameters())


@pytest.mark.parametrize(("name", "value"), [("beam_size", 3), ("priced_codes", True)])
def test_a_beam_search_is_refused(quantizer, name, value):
    setattr(quantizer, name, value)
    with pytest.raises(ValueError, match="cannot be exported"):
        Encode(quantizer)
