import pytest
import torch

from loopyvq.codec import looking, writer
from loopyvq.codec.bound import bounded_tokens
from loopyvq.codec.looking import looked_tokens
from loopyvq.codec.stakes import Aim
from loopyvq.codec.tiles import latents_in_tiles
from tests.codec.conftest import make_image, make_tables, make_tokenizer


@pytest.fixture
def asked():
    tokenizer = make_tokenizer(linear_path=True)
    latents = latents_in_tiles(tokenizer, make_image(48, 64))
    return tokenizer.quantizer, latents, make_tables(tokenizer)


def test_a_look_is_at_what_a_reader_gets_and_the_choice_follows_it(asked):
    quantizer, latents, tables = asked
    seen = []

    def look(given):
        seen.append(given)
        return Aim(0.5 * latents)

    found = looked_tokens(quantizer, latents, 0.3, look, 2, tables=tables)
    first = bounded_tokens(quantizer, latents, 0.3, "rate_distortion", False)
    assert torch.equal(seen[0].z_q, torch.from_numpy(first.z_q))
    assert torch.equal(seen[0].lengths, first.tokens.lengths)
    assert [given.threshold for given in seen] == [first.threshold] * 2
    half = Aim(0.5 * latents)
    expected = bounded_tokens(
        quantizer, latents, 0.3, "in_context", False, tables=tables, aim=half
    ).tokens
    assert torch.equal(found.tokens.codes, expected.codes)
    assert torch.equal(seen[1].lengths, expected.lengths)
    assert not torch.equal(seen[0].lengths, expected.lengths)


def test_tokens_lead_where_they_are_told_until_a_look_tells_better(asked):
    quantizer, latents, tables = asked
    importance = torch.rand(2, *latents.shape[:2], dtype=torch.float64).add(0.1).numpy()
    told, shown = (Aim(latents, importance=weights) for weights in importance)
    found = []
    for looks, aim in enumerate((told, shown)):
        tell = {"tables": tables, "aim": told}
        found.append(looked_tokens(quantizer, latents, 0.3, lambda *_: shown, looks, **tell).tokens)
        alone = bounded_tokens(
            quantizer, latents, 0.3, "in_context", False, tables=tables, aim=aim
        ).tokens
        assert torch.equal(found[-1].codes, alone.codes)
    assert not torch.equal(found[0].codes, found[1].codes)


def test_only_the_last_choice_follows_several_ways(asked, monkeypatch):
    quantizer, latents, tables = asked
    followed = []

    def noting(*arguments):
        found = bounded_tokens(*arguments)
        followed.append(arguments[8])
        return found

    monkeypatch.setattr(looking, "bounded_tokens", noting)
    half = Aim(0.5 * latents)
    found = looked_tokens(quantizer, latents, 0.3, lambda *_: half, 2, tables=tables, ways=4).tokens
    assert followed == [1, 1, 4]
    greedy = bounded_tokens(quantizer, latents, 0.3, "in_context", False, None, tables, half)
    assert not torch.equal(found.codes, greedy.tokens.codes)


def test_files_are_searched_for_where_the_writer_looks(codec, image, monkeypatch):
    def file(effort):
        return codec.compress(image, 0.3, stop="in_context", bound=False, effort=effort)

    before = [file(effort) for effort in (0, 1)]
    monkeypatch.setattr(writer, "USUAL_WAYS", 1)
    assert file(0) == before[0]
    assert file(1) != before[1]
