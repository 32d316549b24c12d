import pytest
import torch

from loopyvq.codec.bound import bounded_tokens
from loopyvq.codec.looking import looked_tokens
from loopyvq.codec.tiles import latents_in_tiles
from loopyvq.codec.weighing import Aim
from tests.codec.conftest import make_image, make_tables, make_tokenizer


@pytest.fixture
def asked():
    tokenizer = make_tokenizer(linear_path=True)
    latents = latents_in_tiles(tokenizer, make_image(48, 64))
    return tokenizer.quantizer, latents, make_tables(tokenizer)


def test_a_look_is_at_what_a_reader_gets_and_the_choice_follows_it(asked):
    quantizer, latents, tables = asked
    seen = []

    def look(z_q, lengths, threshold):
        seen.append((z_q, lengths, threshold))
        return Aim(0.5 * latents)

    found = looked_tokens(quantizer, latents, 0.3, look, 2, tables=tables)
    first = bounded_tokens(quantizer, latents, 0.3, "rate_distortion", False)
    assert torch.equal(seen[0][0], torch.from_numpy(first.z_q))
    assert torch.equal(seen[0][1], first.tokens.lengths)
    assert [threshold for *_, threshold in seen] == [first.threshold] * 2
    half = Aim(0.5 * latents)
    expected = bounded_tokens(
        quantizer, latents, 0.3, "in_context", False, tables=tables, aim=half
    ).tokens
    assert torch.equal(found.tokens.codes, expected.codes)
    assert torch.equal(seen[1][1], expected.lengths)
    assert not torch.equal(seen[0][1], expected.lengths)


def test_without_a_look_tokens_lead_to_the_latents(asked):
    quantizer, latents, tables = asked

    def look(z_q, lengths, threshold):
        raise AssertionError

    found = looked_tokens(quantizer, latents, 0.3, look, 0, tables=tables).tokens
    expected = bounded_tokens(quantizer, latents, 0.3, "in_context", False, tables=tables).tokens
    assert torch.equal(found.codes, expected.codes)


def test_what_a_look_finds_important_goes_before_what_was_expected(asked):
    quantizer, latents, tables = asked
    expected, shown = torch.rand(2, *latents.shape[:2], dtype=torch.float64).add(0.1).numpy()
    found = [
        looked_tokens(
            quantizer,
            latents,
            0.3,
            lambda *_, told=told: Aim(latents, importance=told),
            1,
            tables=tables,
            importance=expected,
        ).tokens
        for told in (None, shown)
    ]
    for tokens, importance in zip(found, (expected, shown), strict=True):
        alone = bounded_tokens(
            quantizer, latents, 0.3, "in_context", False, tables=tables, importance=importance
        ).tokens
        assert torch.equal(tokens.codes, alone.codes)
    assert not torch.equal(found[0].codes, found[1].codes)
