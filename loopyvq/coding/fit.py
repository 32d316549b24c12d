"""Fit coding tables to the tokens of a tokenizer, so that small images need not learn theirs."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int, Int16, Integer, UInt16

from loopyvq.coding.order import Batch, batches_of
from loopyvq.coding.surroundings import Surroundings
from loopyvq.coding.tables import NUM_TABLE_ROWS, Tables, table_row
from loopyvq.coding.training import fit_network
from loopyvq.coding.turns import CodedTokens, plane_of_turn, stop_share_of

__all__ = ["NARROW", "WIDE", "fit_tables"]

_LARGEST_WIDTH = 24
# A coordinate of this many root mean squares is as large as the features can tell.
_CODEBOOK_RMS = 1024
_GAIN_UNIT = 256
NARROW = (144, 96, 64)
"""Widths of the networks' hidden layers by turn, the last for all further turns."""

WIDE = (288, 256, 224, 192, 160, 128, 112, 96, 80)
"""The same where there is much to learn from; for a model that is given away."""
_SMOOTHING = 32.0


def fit_tables(
    samples: Sequence[CodedTokens],
    codebook: Float[np.ndarray, "k d"],
    gains: Float[np.ndarray, " l"],
    seed: int = 0,
    examples_per_turn: int = 400_000,
    epochs: int = 6,
    widths: Sequence[int] = NARROW,
) -> Tables:
    """Learn how the tokens of images like these are distributed.

    Args:
        samples: tokens on grids ``h w``, at thresholds and stop rules spread as they will be used.
        codebook: the codes.
        gains: what each turn multiplies them with; its length is the largest length of a site.
        seed: of the choice of examples and of the networks' start.
        examples_per_turn: symbols to learn from, at most.
        epochs: passes over them.
        widths: of the networks' hidden layers by turn, the last for all further turns.

    Returns:
        The tables.

    Raises:
        ValueError: there are no codes or turns, or a sample does not fit them.
    """
    if not len(codebook) or not len(gains):
        raise ValueError("tables need at least one code and one turn")
    for codes, lengths in samples:
        if codes.shape != (*lengths.shape, len(gains)) or lengths.ndim != 2:
            raise ValueError(f"codes must be h w {len(gains)} and lengths h w, got {codes.shape}")
        if codes.size and codes.max() >= len(codebook):
            raise ValueError(f"codes must be below {len(codebook)}, got {codes.max()}")
    generator = np.random.default_rng(seed)
    scaled, scaled_gains = _scale(codebook, gains)
    networks = []
    weights = np.ones((len(gains), NUM_TABLE_ROWS, len(codebook) + 1), np.uint16)
    for turn in range(len(gains)):
        # A turn in which all stop is not coded.
        going = [tokens for tokens in samples if tokens.lengths.max(initial=0) > turn]
        weights[turn] = _count(going, turn, len(codebook))
        features, symbols = _examples(
            going, turn, scaled, scaled_gains, examples_per_turn, generator
        )
        hidden = widths[min(turn, len(widths) - 1)]
        networks.append(
            fit_network(features, symbols, len(codebook) + 2, hidden, epochs, generator)
        )
    return Tables(scaled, scaled_gains, weights, tuple(networks))


def _scale(
    codebook: Float[np.ndarray, "k d"], gains: Float[np.ndarray, " l"]
) -> tuple[Int16[np.ndarray, "k c"], Int16[np.ndarray, " l"]]:
    """Round codes, turned to their main axes where they are wide, and gains."""
    codes = codebook.astype(np.float64)
    if codes.shape[1] > _LARGEST_WIDTH:
        axes = np.linalg.eigh(codes.T @ codes)[1]
        codes = codes @ axes[:, -_LARGEST_WIDTH:]
    rms = float(np.sqrt((codes**2).mean())) or 1.0
    limit = (1 << 15) - 1
    scaled = np.clip(np.rint(codes * (_CODEBOOK_RMS / rms)), -limit, limit)
    scaled_gains = np.clip(np.rint(gains.astype(np.float64) * _GAIN_UNIT), -limit, limit)
    return scaled.astype(np.int16), scaled_gains.astype(np.int16)


def _count(
    samples: Sequence[CodedTokens], turn: int, codebook_size: int
) -> UInt16[np.ndarray, "4 m"]:
    """Count codes and dummies per share of stops, smoothed towards their sum."""
    counts = np.zeros((NUM_TABLE_ROWS, codebook_size + 1))
    for tokens in samples:
        plane, active = plane_of_turn(tokens, turn, codebook_size)
        share = stop_share_of(plane, active, codebook_size + 1)
        emitted = plane[tokens.lengths > turn]
        counts[table_row(share)] += np.bincount(emitted, minlength=codebook_size + 1)
    overall = counts.sum(axis=0) + 0.5
    smoothed = counts + _SMOOTHING * len(overall) * overall / overall.sum()
    scaled = smoothed * (60_000 / smoothed.max(axis=1, keepdims=True))
    return np.clip(np.rint(scaled), 1, 65_535).astype(np.uint16)


def _examples(
    samples: Sequence[CodedTokens],
    turn: int,
    codebook: Int16[np.ndarray, "k c"],
    gains: Int16[np.ndarray, " l"],
    at_most: int,
    generator: np.random.Generator,
) -> tuple[Int16[np.ndarray, "n f"], Int[np.ndarray, " n"]]:
    """Draw examples of a turn from as many samples as it takes, in a random order."""
    total = sum(int((tokens.lengths >= turn).sum()) for tokens in samples)
    share = min(1.0, at_most / max(total, 1))
    features = [Surroundings(0, 0, codebook, gains, True).features(_NOWHERE, 0)]
    symbols = [np.zeros(0, np.int64)]
    for tokens in samples:
        for some_features, some_symbols in _walk(tokens, turn, codebook, gains):
            kept = generator.random(len(some_symbols)) < share
            features.append(some_features[kept])
            symbols.append(some_symbols[kept])
    return np.concatenate(features), np.concatenate(symbols)


_NOWHERE = Batch(np.zeros(0, np.int64), np.zeros(0, np.int64), 0, 1)


def _walk(
    tokens: CodedTokens,
    turn: int,
    codebook: Int16[np.ndarray, "k c"],
    gains: Integer[np.ndarray, " l"],
) -> Iterator[tuple[Int16[np.ndarray, "n f"], Int[np.ndarray, " n"]]]:
    """Give the features and symbols of a turn, batch by batch as they are coded."""
    height, width = tokens.lengths.shape
    around = Surroundings(height, width, codebook, gains, True)
    for earlier in range(turn):
        plane, active = plane_of_turn(tokens, earlier, len(codebook))
        rows, columns = np.nonzero(active)
        around.reveal(Batch(rows, columns, 0, 1), plane[rows, columns], earlier)
    plane, active = plane_of_turn(tokens, turn, len(codebook))
    share = stop_share_of(plane, active, len(codebook) + 1)
    around.start_turn()
    for batch in batches_of(active, turn):
        symbols = plane[batch.rows, batch.columns]
        yield around.features(batch, share), symbols
        around.reveal(batch, symbols, turn)
