import threading
import warnings

import pytest
from PIL import Image

from loopyvq.data.quiet_pillow import quiet_pillow


def test_warnings_and_the_limit_are_off_inside_and_back_after():
    limit = Image.MAX_IMAGE_PIXELS
    with quiet_pillow():
        assert Image.MAX_IMAGE_PIXELS is None
        warnings.warn("unheard", UserWarning, stacklevel=1)
    assert limit == Image.MAX_IMAGE_PIXELS
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard", UserWarning, stacklevel=1)


def test_an_error_inside_restores_too():
    limit = Image.MAX_IMAGE_PIXELS
    with pytest.raises(KeyError), quiet_pillow():
        raise KeyError
    assert limit == Image.MAX_IMAGE_PIXELS


def test_the_last_thread_to_leave_restores():
    limit = Image.MAX_IMAGE_PIXELS
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with quiet_pillow():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=stay)
    with quiet_pillow():
        thread.start()
        assert inside.wait(10)
    assert Image.MAX_IMAGE_PIXELS is None
    leave.set()
    thread.join()
    assert limit == Image.MAX_IMAGE_PIXELS
