import pytest

from loopyvq.evaluation.equal_bytes import fitting_files
from loopyvq.evaluation.rd_baselines import BASELINES, write_baseline
from tests.codec.conftest import make_image


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_no_better_file_would_fit(name):
    image = make_image(96, 80)
    sizes = {quality: len(write_baseline(name, image, quality)) for quality in range(1, 96)}
    budgets = [sizes[10] - 1, sizes[40], sizes[70] + 1]
    for file, num_bytes in zip(fitting_files(name, image, budgets), budgets, strict=True):
        assert file.fits
        assert len(file.data) == sizes[file.quality] <= num_bytes
        assert sizes[file.quality + 1] > num_bytes


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_where_nothing_fits_it_is_the_smallest(name):
    image = make_image(96, 80)
    (file,) = fitting_files(name, image, [10])
    assert not file.fits
    assert file.quality == BASELINES[name].values[0]
    assert file.data == write_baseline(name, image, file.quality)


def test_a_codec_without_a_quality():
    with pytest.raises(ValueError, match="no quality to choose"):
        fitting_files("jpeg2000", make_image(32, 32), [100])
