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


def test_jpeg_2000_codes_what_colours_have_in_common():
    grey = make_image(160, 200, 1)
    (_, size, decoded), *_ = reversed(list(baseline_files("jpeg2000", grey.expand(3, -1, -1))))
    (_, grey_size, grey_decoded), *_ = reversed(list(baseline_files("jpeg2000", grey)))
    assert size < 3.5 * grey_size  # three times the bytes are asked for
    errors = [
        (pixels.double() - grey.double()).square().mean() for pixels in (decoded, grey_decoded)
    ]
    assert errors[0] < errors[1] / 2
