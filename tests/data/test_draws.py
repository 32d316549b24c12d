import logging

import pytest
import torch
from torch._utils import ExceptionWrapper
from torch.utils.data import DataLoader

from loopyvq.data import (
    BrokenImageError,
    CropConfig,
    ImageSet,
    LabelDraws,
    Subset,
    TrainingDraws,
    to_float,
)
from loopyvq.errors import DataError

CROP = CropConfig(size=4)


class Noise(ImageSet):
    """Images of noise around a level that tells the index; those in ``bad`` are broken."""

    def __init__(self, number=7, bad=(), **options):
        super().__init__(**options)
        self.number, self.bad = number, bad

    def __len__(self):
        return self.number

    def key(self, index):
        return f"noise {index}"

    def read(self, index):
        if index in self.bad:
            raise BrokenImageError(self.key(index), "it is bad")
        generator = torch.Generator().manual_seed(index)
        noise = torch.randint(8, (3, 9, 12), generator=generator)
        return (noise + 30 * index + 4).to(torch.uint8)


def index_of(crop):
    return round(((crop.mean() + 1) * 127.5 - 7.5).item() / 30)


def stack(draws, places):
    return torch.stack([draws[place] for place in places])


def test_every_epoch_sees_every_image_in_another_order():
    draws = TrainingDraws(Noise(), CROP, seed=1, num_draws=28)
    assert len(draws) == 28
    orders = [[index_of(draws[7 * epoch + i]) for i in range(7)] for epoch in range(4)]
    assert all(sorted(order) == list(range(7)) for order in orders)
    assert len({tuple(order) for order in orders}) > 1


def test_range_and_type():
    draw = TrainingDraws(Noise(), CROP, seed=1, num_draws=2)[1]
    assert draw.dtype == torch.float32
    assert draw.shape == (3, 4, 4)
    assert -1 <= draw.min() <= draw.max() <= 1


def test_resumed_runs_and_any_order_see_the_same():
    whole = stack(TrainingDraws(Noise(), CROP, seed=1, num_draws=40), range(40))
    resumed = TrainingDraws(Noise(), CROP, seed=1, num_draws=100)
    assert torch.equal(stack(resumed, range(25, 40)), whole[25:])
    assert torch.equal(stack(resumed, range(39, -1, -1)), whole.flip(0))
    other = stack(TrainingDraws(Noise(), CROP, seed=2, num_draws=40), range(40))
    assert not torch.equal(other, whole)


def test_workers_see_the_same():
    draws = TrainingDraws(Noise(bad=(2,)), CROP, seed=1, num_draws=20)
    alone = torch.cat(list(DataLoader(draws, batch_size=5)))
    for num_workers in (1, 2):
        loaded = torch.cat(list(DataLoader(draws, batch_size=5, num_workers=num_workers)))
        assert torch.equal(loaded, alone)


def test_broken_images_are_replaced_and_counted_once(caplog):
    images = Noise(bad=(2, 3))
    draws = TrainingDraws(images, CROP, seed=1, num_draws=70)
    with caplog.at_level(logging.WARNING):
        seen = {index_of(draws[draw]) for draw in range(70)}
    assert seen == {0, 1, 4, 5, 6}
    assert images.broken == {"noise 2": "it is bad", "noise 3": "it is bad"}
    assert len(caplog.records) == 2
    intact = TrainingDraws(Noise(), CROP, seed=1, num_draws=70)
    kept = [draw for draw in range(70) if index_of(intact[draw]) not in (2, 3)]
    assert torch.equal(stack(draws, kept), stack(intact, kept))


def test_strict_and_entirely_broken_sets():
    draws = TrainingDraws(Noise(bad=range(7), strict=True), CROP, seed=0, num_draws=1)
    with pytest.raises(BrokenImageError, match="it is bad"):
        draws[0]
    with pytest.raises(DataError, match="none of the 7 images can be read"):
        TrainingDraws(Noise(bad=range(7)), CROP, seed=0, num_draws=1)[0]


def test_errors_keep_their_type_on_the_way_from_a_worker():
    # What a DataLoader does inside; a real worker that failed takes 5 s to end.
    try:
        Noise(bad=(0,)).read(0)
    except BrokenImageError as error:
        wrapped = ExceptionWrapper((type(error), error, error.__traceback__))
    with pytest.raises(BrokenImageError, match="it is bad"):
        wrapped.reraise()


def test_arguments_are_checked():
    with pytest.raises(DataError, match="the image set is empty"):
        TrainingDraws(Subset(Noise(), []), CROP, seed=0, num_draws=1)
    with pytest.raises(ValueError, match="seed"):
        TrainingDraws(Noise(), CROP, seed=-1, num_draws=1)
    with pytest.raises(ValueError, match="num_draws"):
        TrainingDraws(Noise(), CROP, seed=0, num_draws=0)
    draws = TrainingDraws(Noise(), CROP, seed=0, num_draws=3)
    for draw in (-1, 3):
        with pytest.raises(IndexError, match="draw must be 0 to 2"):
            draws[draw]


class Labels(Noise):
    """The label is the row, on the left; on the right it is one more."""

    def __init__(self):
        super().__init__(channels=1)

    def read(self, index):
        labels = torch.arange(9)[:, None].repeat(1, 12)
        labels[:, 6:] += 1
        return labels[None].to(torch.uint8)


def test_draws_of_labels():
    draws = LabelDraws(Labels(), CropConfig(size=5), seed=0, num_draws=50)
    images = TrainingDraws(Labels(), CropConfig(size=5, min_scale=1.0), seed=0, num_draws=50)
    exact = LabelDraws(Labels(), CropConfig(size=5, min_scale=1.0), seed=0, num_draws=50)
    for number in range(50):
        assert draws[number].dtype == torch.int64
        assert draws[number].shape == (5, 5)
        assert set(draws[number].unique().tolist()) <= set(range(10))
        assert torch.equal(to_float(exact[number].to(torch.uint8)[None]), images[number])
