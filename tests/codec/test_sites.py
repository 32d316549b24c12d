import pytest
import torch

from loopyvq.codec.bound import bounded_tokens
from loopyvq.codec.coarse import fit_coarse
from loopyvq.codec.sites import chunks_of, read_sites
from loopyvq.codec.tiles import latents_in_tiles
from loopyvq.coding import Chunk, Container, Header
from loopyvq.errors import BitstreamError


def test_chunks_come_back_and_disorder_is_refused(tokenizer, image):
    quantizer = tokenizer.quantizer
    latents = latents_in_tiles(tokenizer, image)
    found = bounded_tokens(quantizer, latents, 0.05)
    chunks = chunks_of(found, quantizer.codebook_size, "packed")
    grid = (int(latents.shape[0]), int(latents.shape[1]))
    header = Header("packed", "0" * 12, 53, 70, 3, 4, found.threshold, len(chunks))
    sites = read_sites(Container(header, chunks), quantizer, grid)
    assert (sites.z_q == found.z_q).all()
    assert sites.tokens.codes.equal(found.tokens.codes)
    assert sites.num_escaped == found.num_escaped > 0
    for wrong in (chunks[::-1], [*chunks[:-1], Chunk("codebook", b"")], [chunks[-1], *chunks]):
        bad = header._replace(num_chunks=len(wrong))
        with pytest.raises(BitstreamError):
            read_sites(Container(bad, wrong), quantizer, grid)
    static = header._replace(mode="static")
    with pytest.raises(BitstreamError, match="needs tables"):
        read_sites(Container(static, chunks), quantizer, grid)


def test_what_is_coarse_comes_first_and_once(codec, tokenizer, image):
    coarse = fit_coarse(image, image // 2, (7, 9), 1.0)
    found = bounded_tokens(tokenizer.quantizer, latents_in_tiles(tokenizer, image), 0.3)
    chunks = chunks_of(found, tokenizer.quantizer.codebook_size, "packed", coarse=coarse)
    assert [chunk.kind for chunk in chunks[:2]] == ["coarse", "tokens"]
    header = Header("packed", "0" * 12, 53, 70, 3, 4, found.threshold, len(chunks))
    for there in (chunks, chunks[:2], chunks[:1]):
        sites = read_sites(Container(header, there), tokenizer.quantizer, (7, 9))
        assert torch.equal(sites.coarse, coarse.grid)
    for wrong in ([chunks[1], chunks[0], *chunks[2:]], [chunks[0], *chunks]):
        bad = header._replace(num_chunks=len(wrong))
        with pytest.raises(BitstreamError, match="chunks where an image has none"):
            read_sites(Container(bad, wrong), tokenizer.quantizer, (7, 9))
