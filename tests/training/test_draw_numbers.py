import os
import signal

from loopyvq.training.draw_numbers import DrawNumbers, leave_interrupts


def test_draws_are_numbered_pass_by_pass_for_every_process():
    numbers = [list(DrawNumbers(range(2, 4), 3, 2, rank)) for rank in range(2)]
    assert numbers == [[[12, 13, 14], [18, 19, 20]], [[15, 16, 17], [21, 22, 23]]]
    assert len(DrawNumbers(range(10**12), 3, 2, 0)) == 10**12  # made as they are read


def test_those_that_read_go_on_at_an_interrupt():
    before = signal.getsignal(signal.SIGINT)
    try:
        leave_interrupts(0)
        os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
