"""The two ends of a model: one walk over the sites serves for encoding and for decoding.

A model asks a port for the symbols at some sites and says how likely each is. The port of an
encoder knows them and writes them; that of a decoder reads them. So both see the same questions.
"""

from abc import ABC, abstractmethod
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from loopyvq.coding.range_coder import TOTAL, RangeDecoder, RangeEncoder

__all__ = ["DecodingPort", "EncodingPort", "KnownPort", "MeasuringPort", "Port"]


@runtime_checkable
class Port(Protocol):
    """What a model talks to.

    Attributes:
        plane: the turn's symbol at every site: codes, then dummy, then stop; a decoder's fills up.
        stop: the last symbol, which ends a site.
    """

    plane: Int[np.ndarray, "h w"]
    stop: int

    def symbols(
        self,
        rows: Int[np.ndarray, " n"],
        columns: Int[np.ndarray, " n"],
        frequencies: Int[np.ndarray, "*n k"],
    ) -> Int[np.ndarray, " n"]:
        """Code the symbols at some sites.

        Args:
            rows: of the sites.
            columns: of the sites.
            frequencies: of all symbols; one row, or one for each site.

        Returns:
            The symbols.
        """

    def stops(
        self,
        rows: Int[np.ndarray, " n"],
        columns: Int[np.ndarray, " n"],
        frequencies: Int[np.ndarray, "*n 2"],
    ) -> Int[np.ndarray, " n"]:
        """Code whether sites stop.

        Args:
            rows: of the sites.
            columns: of the sites.
            frequencies: of going on and of stopping.

        Returns:
            1 where a site stops.
        """


class KnownPort(ABC):
    """Looks up what the plane says, and hands it on.

    Args:
        plane: symbols at every site; only those that a model asks for matter.
        stop: the symbol that ends a site.
    """

    def __init__(self, plane: Int[np.ndarray, "h w"], stop: int) -> None:
        self.plane = plane
        self.stop = stop

    def symbols(
        self,
        rows: Int[np.ndarray, " n"],
        columns: Int[np.ndarray, " n"],
        frequencies: Int[np.ndarray, "*n k"],
    ) -> Int[np.ndarray, " n"]:
        """Take the symbols at some sites; see `Port`."""
        symbols = self.plane[rows, columns]
        self.take(symbols, frequencies)
        return symbols

    def stops(
        self,
        rows: Int[np.ndarray, " n"],
        columns: Int[np.ndarray, " n"],
        frequencies: Int[np.ndarray, "*n 2"],
    ) -> Int[np.ndarray, " n"]:
        """Take whether sites stop; see `Port`."""
        stops = (self.plane[rows, columns] == self.stop).astype(np.int64)
        self.take(stops, frequencies)
        return stops

    @abstractmethod
    def take(self, symbols: Int[np.ndarray, " n"], frequencies: Int[np.ndarray, "*n k"]) -> None:
        """Write or measure symbols.

        Args:
            symbols: what stands there.
            frequencies: of their alphabet; one row, or one for each.
        """


class EncodingPort(KnownPort):
    """Writes what the plane says; arguments as of `KnownPort`."""

    def __init__(self, plane: Int[np.ndarray, "h w"], stop: int) -> None:
        super().__init__(plane, stop)
        self.coder = RangeEncoder()

    def take(self, symbols: Int[np.ndarray, " n"], frequencies: Int[np.ndarray, "*n k"]) -> None:
        """Write symbols; see `KnownPort`."""
        self.coder.encode(symbols, frequencies)


class MeasuringPort(KnownPort):
    """Adds up what a perfect coder would need for what the plane says; arguments the same."""

    def __init__(self, plane: Int[np.ndarray, "h w"], stop: int) -> None:
        super().__init__(plane, stop)
        self.ideal_bits = 0.0

    def take(self, symbols: Int[np.ndarray, " n"], frequencies: Int[np.ndarray, "*n k"]) -> None:
        """Measure symbols; see `KnownPort`."""
        rows = np.broadcast_to(frequencies, (len(symbols), frequencies.shape[-1]))
        chosen = rows[np.arange(len(symbols)), symbols]
        self.ideal_bits -= float(np.log2(chosen / TOTAL).sum())


class DecodingPort:
    """Reads what an `EncodingPort` wrote.

    Args:
        data: the bytes.
        shape: rows and columns of sites.
        stop: the symbol that ends a site.
    """

    def __init__(self, data: bytes, shape: tuple[int, int], stop: int) -> None:
        self.plane = np.full(shape, stop, np.int64)
        self.stop = stop
        self.coder = RangeDecoder(data)

    def symbols(
        self,
        rows: Int[np.ndarray, " n"],
        columns: Int[np.ndarray, " n"],
        frequencies: Int[np.ndarray, "*n k"],
    ) -> Int[np.ndarray, " n"]:
        """Read the symbols at some sites; see `Port`."""
        symbols = self.coder.decode(frequencies, len(rows))
        self.plane[rows, columns] = symbols
        return symbols

    def stops(
        self,
        rows: Int[np.ndarray, " n"],
        columns: Int[np.ndarray, " n"],
        frequencies: Int[np.ndarray, "*n 2"],
    ) -> Int[np.ndarray, " n"]:
        """Read whether sites stop; see `Port`."""
        return self.coder.decode(frequencies, len(rows))
