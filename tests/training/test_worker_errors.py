import pytest
from torch.utils.data import DataLoader, Dataset

from loopyvq.data.decoding import BrokenImageError
from loopyvq.errors import DataError
from loopyvq.training.worker_errors import with_plain_errors


class Broken(Dataset):
    """Raises an error with a cause, as readers do."""

    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 1

    def __getitem__(self, index):
        try:
            raise OSError("cause")
        except OSError as error:
            raise self.error from error


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("error", [DataError("no: image"), BrokenImageError("a.png", "it is cut")])
def test_an_error_says_the_same_with_workers(workers, error):
    batches = with_plain_errors(iter(DataLoader(Broken(error), num_workers=workers)))
    with pytest.raises(type(error)) as caught:
        next(batches)
    assert str(caught.value) == str(error)


def test_batches_pass():
    assert list(with_plain_errors(iter([1, 2]))) == [1, 2]
