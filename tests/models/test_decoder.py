import torch

from loopyvq.models.decoder import Decoder


def make() -> Decoder:
    torch.manual_seed(0)
    decoder = Decoder(3, 4, (8, 12), 1, False, 5, max_depth=4)
    for parameter in decoder.parameters():
        if parameter.abs().sum() == 0:
            torch.nn.init.normal_(parameter, std=0.1)
    return decoder


def test_shapes_and_a_threshold_of_zero():
    cued = torch.tensor([True, False])
    lengths, threshold = torch.zeros(2, 3, 2, dtype=torch.int64), torch.zeros(2, 3, 2)
    image = make()(torch.randn(2, 5, 3, 2), lengths, threshold, cued)
    assert image.shape == (2, 3, 24, 16)
    assert image.isfinite().all()


def test_only_cued_images_see_lengths_and_threshold():
    decoder = make()
    z_q = torch.randn(1, 5, 3, 2).expand(2, -1, -1, -1)
    cued = torch.tensor([True, False])
    short = torch.zeros(2, 3, 2, dtype=torch.int64)
    threshold = torch.full((2, 3, 2), 0.5)
    one = decoder(z_q, short, threshold, cued)
    for other in (
        decoder(z_q, short + 1, threshold, cued),
        decoder(z_q, short, threshold * 0.5, cued),
    ):
        assert not torch.allclose(one[0], other[0])
        assert torch.equal(one[1], other[1])


def test_a_held_threshold_is_answered_whatever_comes():
    decoder = make()
    z_q, cued = torch.randn(1, 5, 3, 2), torch.tensor([True])
    lengths = torch.ones(1, 3, 2, dtype=torch.int64)
    seen = torch.full((1, 3, 2), 0.4)
    before = decoder(z_q, lengths, seen, cued)
    decoder.hold_threshold(0.4)
    for threshold in (seen, 0 * seen, 5 * seen):
        torch.testing.assert_close(decoder(z_q, lengths, threshold, cued), before)
    decoder(z_q, lengths, seen, cued).sum().backward()
    assert decoder.threshold_cue[2].weight.grad.abs().sum() > 0  # what is held can be learned again
