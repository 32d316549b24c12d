import pytest
import torch

from loopyvq.quantize.scale import RunningScale


def test_the_first_update_goes_all_the_way_and_later_ones_a_part():
    scale = RunningScale("rms", 0.9)
    assert scale.sigma == 1.0
    scale.collect(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    assert scale.sigma == 1.0
    scale.update()
    torch.testing.assert_close(scale.sigma, torch.tensor(12.5).sqrt())
    scale.collect(torch.tensor([[1.0, 0.0]]))
    scale.update()
    torch.testing.assert_close(scale.sigma, torch.tensor(0.9 * 12.5 + 0.1).sqrt())


def test_several_batches_count_as_one():
    parts, whole = RunningScale("rms", 0.5), RunningScale("rms", 0.5)
    latents = torch.arange(12.0).reshape(6, 2)
    for part in latents.split([1, 5]):
        parts.collect(part)
    whole.collect(latents)
    parts.update()
    whole.update()
    torch.testing.assert_close(parts.sigma, whole.sigma)


@pytest.mark.parametrize("latents", [torch.zeros(0, 2), torch.zeros(5, 2)])
def test_nothing_to_measure_changes_nothing(latents):
    scale = RunningScale("rms", 0.9)
    scale.collect(latents)
    scale.update()
    assert scale.sigma == 1.0
    assert not scale.started


def test_energies_that_overflow_change_nothing():
    scale = RunningScale("rms", 0.9)
    scale.collect(torch.full((1, 1), 1e200, dtype=torch.float64))
    scale.update()
    assert scale.sigma == 1.0


def test_an_absolute_scale_is_one_for_ever():
    scale = RunningScale("absolute", 0.9)
    scale.collect(torch.full((4, 2), 7.0))
    scale.update()
    assert scale.sigma == 1.0
