import torch


def test_a_reader_decodes_what_the_writer_saw(codec, image):
    written = codec.writer(image).write(0.3)
    seen, read = written.found.for_decoder(), codec.decode_sites(written.data).for_decoder()
    assert torch.equal(seen.z_q, read.z_q)
    assert torch.equal(seen.lengths, read.lengths)
    assert seen.threshold == read.threshold
