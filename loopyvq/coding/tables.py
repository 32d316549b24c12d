"""The entropy model that travels with a tokenizer: integers, fitted once, kept with it."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Int16, Shaped, UInt16

from loopyvq.coding.features import num_features
from loopyvq.coding.network import LARGEST_BIAS, LARGEST_SHIFT, MOST_INPUTS, Layer, Network

__all__ = ["NUM_TABLE_ROWS", "Tables", "table_row"]

# The share of a turn's sites that stop, as a byte, picks the table of how often each code comes.
_STOP_SHARE_STARTS = (0, 32, 96, 176)
NUM_TABLE_ROWS = len(_STOP_SHARE_STARTS)
_LAYERS = Network._fields


class Tables(NamedTuple):
    """What encoder and decoder must share for the modes ``static`` and ``context``.

    Attributes:
        codebook: the codes, of at most 24 coordinates, scaled and rounded.
        gains: what each turn multiplies them with, in units of 1/256.
        weights: how often each code, and the dummy behind them, comes: per turn and share of stops.
        networks: one per turn.
    """

    codebook: Int16[np.ndarray, "k d"]
    gains: Int16[np.ndarray, " l"]
    weights: UInt16[np.ndarray, "l 4 m"]
    networks: tuple[Network, ...]

    @property
    def codebook_size(self) -> int:
        """Number of codes."""
        return len(self.codebook)

    @property
    def max_depth(self) -> int:
        """Largest length of a site."""
        return len(self.gains)

    @property
    def num_bytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self.to_arrays().values())

    def to_arrays(self) -> dict[str, Shaped[np.ndarray, "..."]]:
        """Give named arrays, as a checkpoint can hold them.

        Returns:
            Arrays of int8, int16, uint16 and int32.
        """
        arrays: dict[str, Shaped[np.ndarray, ...]] = {
            "codebook": self.codebook,
            "gains": self.gains,
            "weights": self.weights,
        }
        for turn, network in enumerate(self.networks):
            for name, layer in zip(_LAYERS, network, strict=True):
                arrays[f"turn{turn}.{name}.weights"] = layer.weights
                arrays[f"turn{turn}.{name}.bias"] = layer.bias
            shifts = [layer.shift for layer in network]
            arrays[f"turn{turn}.shifts"] = np.array(shifts, np.int8)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> "Tables":
        """Take what `to_arrays` gave, checked.

        Args:
            arrays: by name.

        Returns:
            Tables that can be coded with.

        Raises:
            ValueError: an array is missing, or its type, shape or values cannot be right.
        """
        try:
            tables = cls(
                arrays["codebook"],
                arrays["gains"],
                arrays["weights"],
                tuple(_network_of(arrays, turn) for turn in range(len(arrays["gains"]))),
            )
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"coding tables are incomplete: {error}") from error
        _check(tables)
        return tables


def table_row(stop_share: int) -> int:
    """Pick one of a turn's tables of weights.

    Args:
        stop_share: share of the turn's sites that stop, ``0..255``.

    Returns:
        Its row.
    """
    return sum(stop_share >= start for start in _STOP_SHARE_STARTS) - 1


def _network_of(arrays: Mapping[str, Shaped[np.ndarray, "..."]], turn: int) -> Network:
    shifts = arrays[f"turn{turn}.shifts"].tolist()
    layers = [
        Layer(
            arrays[f"turn{turn}.{name}.weights"],
            arrays[f"turn{turn}.{name}.bias"],
            int(shifts[index]),
        )
        for index, name in enumerate(_LAYERS)
    ]
    return Network(*layers)


def _check(tables: Tables) -> None:
    size, depth = tables.codebook_size, tables.max_depth
    _require("codebook", tables.codebook, np.int16, (size, *tables.codebook.shape[1:2]))
    _require("gains", tables.gains, np.int16, (depth,))
    _require("weights", tables.weights, np.uint16, (depth, NUM_TABLE_ROWS, size + 1))
    if tables.weights.size and tables.weights.min() < 1:
        raise ValueError("coding tables must give every code a weight of at least 1")
    for network in tables.networks:
        widths = [num_features(tables.codebook.shape[1])]
        widths += [len(network.first.bias), len(network.second.bias), size + 2]
        if max(widths[:-1]) > MOST_INPUTS:
            raise ValueError(f"coding tables hold a layer of more than {MOST_INPUTS} inputs")
        for index, layer in enumerate(network):
            shape = (widths[index + 1], widths[index])
            _require("network weights", layer.weights, np.int8, shape)
            _require("network bias", layer.bias, np.int32, shape[:1])
            if not 0 <= layer.shift <= LARGEST_SHIFT:
                raise ValueError(f"coding tables hold a shift of {layer.shift}")
            if np.abs(layer.bias.astype(np.int64)).max(initial=0) > LARGEST_BIAS:
                raise ValueError(f"coding tables hold a bias above {LARGEST_BIAS}")


def _require(
    name: str, array: Shaped[np.ndarray, "..."], dtype: type, shape: tuple[int, ...]
) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(
            f"coding tables must hold {np.dtype(dtype).name} {name} of shape {shape}, "
            f"got {array.dtype.name} of {array.shape}"
        )
