import pytest
import torch

from loopyvq.evaluation.rd_baselines import BASELINES, baseline_files
from tests.codec.conftest import make_image


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_decodes_at_every_setting(name, channels):
    image = make_image(160, 200, channels)
    found = list(baseline_files(name, image))
    assert len(found) == len(BASELINES[name].values)
    assert all(decoded.shape == image.shape for _, _, decoded in found)
    errors = [(decoded.double() - image.double()).square().mean() for _, _, decoded in found]
    assert torch.tensor(errors).argmin() >= len(errors) - 2
    assert found[0][1] < found[-1][1]
