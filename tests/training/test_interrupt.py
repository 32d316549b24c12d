import signal
import threading

import pytest

from loopyvq.training.interrupt import PatientInterrupt


def test_the_first_is_noted_and_the_second_goes_through():
    with PatientInterrupt() as interrupt:
        assert not interrupt.requested
        signal.raise_signal(signal.SIGINT)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_what_was_before_is_restored():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="inside"), PatientInterrupt():
        raise ValueError("inside")
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_are_left_alone():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def enter():
        with PatientInterrupt():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [before]
