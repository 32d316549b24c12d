import numpy as np
import pytest

from loopyvq.coding.ports import DecodingPort, EncodingPort, MeasuringPort, Port
from loopyvq.coding.range_coder import TOTAL

PLANE = np.array([[0, 2, 3], [1, 3, 0]])
ROWS, COLUMNS = np.nonzero(PLANE >= 0)
SYMBOLS = np.array([TOTAL // 2, TOTAL // 8, TOTAL // 8, TOTAL // 4])
STOPS = np.array([TOTAL // 4 * 3, TOTAL // 4])


def ask(port):
    stops = port.stops(ROWS, COLUMNS, STOPS)
    return stops.tolist(), port.symbols(ROWS, COLUMNS, SYMBOLS).tolist()


def test_all_ports_answer_alike():
    encoder = EncodingPort(PLANE, 3)
    answers = ask(encoder)
    assert answers == ([0, 0, 1, 0, 1, 0], [0, 2, 3, 1, 3, 0])
    decoder = DecodingPort(encoder.coder.finish(), (2, 3), 3)
    assert ask(decoder) == answers
    assert np.array_equal(decoder.plane, PLANE)
    assert ask(MeasuringPort(PLANE, 3)) == answers
    for port in (encoder, decoder, MeasuringPort(PLANE, 3)):
        assert isinstance(port, Port)


def test_the_ideal_is_the_sum_of_the_logarithms():
    port = MeasuringPort(PLANE, 3)
    ask(port)
    expected_bits = 4 * np.log2(4 / 3) + 2 * 2 + (1 + 3 + 2 + 3 + 2 + 1)
    assert port.ideal_bits == pytest.approx(expected_bits)
