import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loopyvq.generation.rejection import Jury, best_per_class, candidates_of, liking
from loopyvq.tokens import Tokens


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.floats(0, 0.95))
def test_there_are_candidates_enough(classes, rejected):
    wanted = torch.tensor(classes)
    candidates = candidates_of(wanted, rejected)
    for kind in set(classes):
        there, needed = int((candidates == kind).sum()), classes.count(kind)
        assert needed <= there < needed / (1 - rejected) + 1
    scores = torch.rand(len(candidates), generator=torch.Generator().manual_seed(0))
    chosen = best_per_class(scores, candidates, wanted)
    assert len(set(chosen.tolist())) == len(classes)
    assert torch.equal(candidates[chosen], wanted)
    for kind in set(classes):
        kept = scores[chosen[wanted == kind]]
        left = torch.tensor([i not in chosen.tolist() for i in range(len(candidates))])
        others = scores[left & (candidates == kind)]
        assert kept.tolist() == sorted(kept.tolist(), reverse=True)
        assert not len(others) or float(others.max()) <= float(kept.min())


def test_nothing_is_rejected_by_default():
    wanted = torch.tensor([3, 1, 3])
    assert candidates_of(wanted, 0.0).tolist() == [1, 3, 3]
    assert len(candidates_of(torch.tensor([0]), 0.9)) == 10


@pytest.mark.parametrize("rejected", [-0.1, 1.0])
def test_a_share_out_of_range(rejected):
    with pytest.raises(ValueError, match="within"):
        candidates_of(torch.tensor([0]), rejected)


def test_too_few_candidates():
    with pytest.raises(ValueError, match="2 images of class 4 cannot be chosen from 1"):
        best_per_class(torch.zeros(1), torch.tensor([4]), torch.tensor([4, 4]))


def test_what_a_classifier_likes():
    logits = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    assert liking(logits, torch.tensor([1, 1])).argmax() == 1
    assert torch.equal(liking(logits, None), logits.log_softmax(1).amax(1))


def test_a_jury_keeps_the_best_of_what_it_saw():
    wanted = torch.tensor([1, 0, 1])

    def classifier(images):
        brightness = images.float().mean(dim=(1, 2, 3)) / 100
        return torch.stack([-brightness, brightness], dim=1)

    jury = Jury(classifier, wanted, 0.5, by_class=True)
    assert jury.candidates.tolist() == [0, 0, 1, 1, 1, 1]
    levels = torch.tensor([9, 200, 50, 250, 100, 20], dtype=torch.uint8)
    images = levels[:, None, None, None].expand(6, 1, 2, 2)
    codes = torch.arange(6)[:, None, None, None]
    tokens = Tokens(codes, torch.ones(6, 1, 1, dtype=torch.int64))
    for part in (slice(0, 4), slice(4, 6)):
        jury.see(Tokens(codes[part], tokens.lengths[part]), images[part])
    assert jury.best().codes.flatten().tolist() == [3, 0, 4]


def test_a_jury_that_has_not_seen_all():
    jury = Jury(lambda images: images.float(), torch.tensor([0]), 0.5, by_class=False)
    with pytest.raises(ValueError, match="2 candidates were expected, got 0"):
        jury.best()


def test_candidates_of_one_map_compete_with_each_other_alone():
    jury = Jury(
        lambda images: images.float().mean(dim=(2, 3)), torch.arange(2), 0.5, by_class=False
    )
    assert (jury.candidates.tolist(), jury.rows.tolist()) == ([0, 0, 1, 1], [0, 0, 1, 1])
    sure = torch.tensor([[9, 0], [99, 0], [1, 0], [2, 0]], dtype=torch.uint8)
    codes, lengths = torch.arange(4)[:, None, None, None], torch.ones(4, 1, 1, dtype=torch.int64)
    jury.see(Tokens(codes, lengths), sure[:, :, None, None])
    assert jury.best().codes.flatten().tolist() == [1, 3]
    classes = Jury(lambda images: images, torch.tensor([4, 2, 4]), 0.0, by_class=True)
    assert (classes.candidates.tolist(), classes.rows.tolist()) == ([2, 4, 4], [1, 0, 0])
