from dataclasses import asdict

import pytest
import torch

from loopyvq.data import one_hot
from loopyvq.errors import DataError
from loopyvq.evaluation import OperatingPoint, evaluate_label_maps
from loopyvq.evaluation.tables import format_label_points
from loopyvq.metrics.labels import count_agreement, measure_agreement
from loopyvq.models import LabelTokenizerConfig, Tokenizer

POINTS = [OperatingPoint(0.3, 4), OperatingPoint(0.0, 2)]


@pytest.fixture
def tokenizer(tiny_config):
    torch.manual_seed(0)
    own = {name: getattr(tiny_config, name) for name in asdict(tiny_config)}
    return Tokenizer(LabelTokenizerConfig(**{**own, "image_channels": 5})).eval()


@pytest.fixture
def maps():
    generator = torch.Generator().manual_seed(0)
    sizes = [(16, 24), (20, 17), (8, 8)]
    return [
        (str(size), torch.randint(5, (1, *size), generator=generator).to(torch.uint8))
        for size in sizes
    ]


def test_it_measures_what_is_decoded(tokenizer, maps):
    results = evaluate_label_maps(tokenizer, maps, POINTS)
    counts, tokens = 0, 0
    for _, labels in maps:
        found = tokenizer.encode(one_hot(labels, 5), 0.3, 4)
        logits = tokenizer.decode(found, 0.3, tuple(labels.shape[1:]))
        counts = counts + count_agreement(logits.argmax(dim=1), labels.long(), 5)
        tokens += found.num_tokens
    agreement = measure_agreement(counts)
    assert results[0].pixel_accuracy == agreement.pixel_accuracy
    assert results[0].mean_iou == agreement.mean_iou
    assert results[0].tokens_per_image == tokens / 3
    assert results[0].num_images == 3
    assert results[1].tokens_per_site == 2
    assert results[0].rate_bpp * (16 * 24 + 20 * 17 + 64) == pytest.approx(
        results[0].bits_per_image * 3
    )


def test_the_table(tokenizer, maps):
    lines = format_label_points(evaluate_label_maps(tokenizer, maps, POINTS)).splitlines()
    assert "mean IoU" in lines[0]
    assert len(lines) == 4


def test_what_cannot_be_measured(tokenizer, maps, tiny_config):
    with pytest.raises(ValueError, match="at least one operating point"):
        evaluate_label_maps(tokenizer, maps, [])
    with pytest.raises(DataError, match="no readable label map"):
        evaluate_label_maps(tokenizer, [], POINTS)
    with pytest.raises(ValueError, match="this is one of images"):
        evaluate_label_maps(Tokenizer(tiny_config), maps, POINTS)
