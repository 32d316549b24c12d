import pytest
import torch

from loopyvq.metrics.labels import count_agreement, measure_agreement


def test_counts_add_up_over_maps():
    generator = torch.Generator().manual_seed(0)
    found, truth = torch.randint(5, (2, 3, 6, 7), generator=generator)
    counts = count_agreement(found, truth, 5)
    assert counts.sum() == found.numel()
    assert torch.equal(sum(count_agreement(found[i], truth[i], 5) for i in range(3)), counts)
    for row in range(5):
        for column in range(5):
            assert counts[row, column] == ((truth == row) & (found == column)).sum()


def test_accuracy_and_iou_are_their_formulas():
    generator = torch.Generator().manual_seed(1)
    found, truth = torch.randint(4, (2, 30, 30), generator=generator)
    agreement = measure_agreement(count_agreement(found, truth, 4))
    assert agreement.pixel_accuracy == pytest.approx((found == truth).double().mean().item())
    ious = [
        ((found == n) & (truth == n)).sum() / ((found == n) | (truth == n)).sum() for n in range(4)
    ]
    assert agreement.mean_iou == pytest.approx(sum(ious).item() / 4)


def test_labels_that_do_not_occur_do_not_count():
    truth = torch.tensor([[0, 1]])
    assert measure_agreement(count_agreement(truth, truth, 100)) == (1.0, 1.0)


def test_what_cannot_be_measured():
    with pytest.raises(ValueError, match="one shape"):
        count_agreement(torch.zeros(2, 2).long(), torch.zeros(2, 3).long(), 2)
    with pytest.raises(ValueError, match="no pixel"):
        measure_agreement(torch.zeros(2, 2).long())
