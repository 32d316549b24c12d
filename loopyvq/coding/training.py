"""Fit one network of the context model: plain gradient descent in float, then rounding.

Only the rounded network is ever used to code, so how it was found need not be reproducible.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int16, Integer

from loopyvq.coding.features import FEATURE_UNIT
from loopyvq.coding.frequencies import SCORE_UNIT
from loopyvq.coding.network import LARGEST_ACTIVATION, LARGEST_BIAS, LARGEST_SHIFT, Layer, Network

__all__ = ["fit_network"]

_BATCH_SIZE = 512
_LEARNING_RATE = 8e-3
# Wider hidden layers than this learn better at half the rate, narrower ones worse.
_NARROW, _RATE_OF_WIDE = 160, 4e-3
_WARM_UP = 0.3
# Images unlike those of the fit are coded better when the weights are held back.
_WEIGHT_DECAY = 0.15
_LARGEST = LARGEST_ACTIVATION / FEATURE_UNIT
_LARGEST_WEIGHT = 127


class _Parameters(NamedTuple):
    """Weights (``in out``) and biases, layer by layer."""

    first: Float32[np.ndarray, "f h"]
    first_bias: Float32[np.ndarray, " h"]
    second: Float32[np.ndarray, "h h"]
    second_bias: Float32[np.ndarray, " h"]
    last: Float32[np.ndarray, "h k"]
    last_bias: Float32[np.ndarray, " k"]


def fit_network(
    features: Int16[np.ndarray, "n f"],
    symbols: Integer[np.ndarray, " n"],
    num_symbols: int,
    hidden: int,
    epochs: int,
    generator: np.random.Generator,
) -> Network:
    """Learn which symbols come in which surroundings.

    Args:
        features: examples, as `Surroundings.features` gives them; may be none.
        symbols: what came, each within ``0..num_symbols-1``.
        num_symbols: codes, dummy and stop.
        hidden: width of the hidden layers.
        epochs: passes over the examples.
        generator: of the start and the order.

    Returns:
        The network, rounded.
    """
    counts = np.bincount(symbols, minlength=num_symbols) + 0.5
    parameters = _start(features.shape[1], hidden, np.log(counts / counts.mean()), generator)
    moments = [(np.zeros_like(item), np.zeros_like(item)) for item in parameters]
    steps = math.ceil(epochs * len(symbols) / _BATCH_SIZE)
    rate = _LEARNING_RATE if hidden <= _NARROW else _RATE_OF_WIDE
    order = np.zeros(0, np.int64)
    for step in range(steps):
        if len(order) < min(_BATCH_SIZE, len(symbols)):
            order = generator.permutation(len(symbols))
        chosen, order = order[:_BATCH_SIZE], order[_BATCH_SIZE:]
        inputs = features[chosen].astype(np.float32) / FEATURE_UNIT
        gradients = _gradients(parameters, inputs, symbols[chosen])
        _descend(parameters, gradients, moments, step, rate * _share(step / steps))
    return _round(parameters)


def _start(
    width: int, hidden: int, scores: np.ndarray, generator: np.random.Generator
) -> _Parameters:
    def matrix(rows: int, columns: int, scale: float) -> Float32[np.ndarray, "f h"]:
        return generator.normal(0, scale, (rows, columns)).astype(np.float32)

    return _Parameters(
        matrix(width, hidden, math.sqrt(1 / width)),
        np.zeros(hidden, np.float32),
        matrix(hidden, hidden, math.sqrt(2 / hidden)),
        np.zeros(hidden, np.float32),
        matrix(hidden, len(scores), 0.1 * math.sqrt(1 / hidden)),
        scores.astype(np.float32),
    )


def _gradients(
    parameters: _Parameters, inputs: Float32[np.ndarray, "n f"], symbols: np.ndarray
) -> _Parameters:
    """Differentiate the mean code length in nats."""
    before_first = inputs @ parameters.first + parameters.first_bias
    first = before_first.clip(0, _LARGEST)
    before_second = first @ parameters.second + parameters.second_bias
    second = before_second.clip(0, _LARGEST)
    scores = second @ parameters.last + parameters.last_bias
    scores -= scores.max(axis=1, keepdims=True)
    chances = np.exp(scores)
    chances /= chances.sum(axis=1, keepdims=True)
    chances[np.arange(len(symbols)), symbols] -= 1
    to_scores = chances / np.float32(len(symbols))
    to_second = (to_scores @ parameters.last.T) * (before_second == second)
    to_first = (to_second @ parameters.second.T) * (before_first == first)
    return _Parameters(
        inputs.T @ to_first,
        to_first.sum(axis=0),
        first.T @ to_second,
        to_second.sum(axis=0),
        second.T @ to_scores,
        to_scores.sum(axis=0),
    )


def _share(progress: float) -> float:
    """Rise along a cosine, then fall along one."""
    if progress < _WARM_UP:
        return 0.52 - 0.48 * math.cos(math.pi * progress / _WARM_UP)
    fall = (progress - _WARM_UP) / (1 - _WARM_UP)
    return 0.5 + 0.5 * math.cos(math.pi * fall)


def _descend(
    parameters: _Parameters,
    gradients: _Parameters,
    moments: list[tuple[np.ndarray, np.ndarray]],
    step: int,
    rate: float,
) -> None:
    """Take one step of Adam with weight decay, in place.

    References:
        Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019,
        https://arxiv.org/abs/1711.05101
    """
    kept = np.float32(1 - rate * _WEIGHT_DECAY)
    scale = rate * math.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
    for item, gradient, (mean, square) in zip(parameters, gradients, moments, strict=True):
        mean += np.float32(0.1) * (gradient - mean)
        square += np.float32(0.001) * (gradient * gradient - square)
        if item.ndim > 1:
            item *= kept
        item -= np.float32(scale) * mean / (np.sqrt(square) + np.float32(1e-8))


def _round(parameters: _Parameters) -> Network:
    return Network(
        _round_layer(parameters.first, parameters.first_bias, FEATURE_UNIT),
        _round_layer(parameters.second, parameters.second_bias, FEATURE_UNIT),
        _round_layer(parameters.last / math.log(2), parameters.last_bias / math.log(2), SCORE_UNIT),
    )


def _round_layer(weights: np.ndarray, bias: np.ndarray, unit: int) -> Layer:
    """Use as many of the eight bits as the largest weight leaves."""
    gained = (unit // FEATURE_UNIT).bit_length() - 1
    bits = math.floor(math.log2(_LARGEST_WEIGHT / max(float(np.abs(weights).max()), 1e-9)))
    bits = min(max(bits, gained), LARGEST_SHIFT)
    scaled = np.clip(np.rint(weights.T * 2.0**bits), -_LARGEST_WEIGHT, _LARGEST_WEIGHT)
    scaled_bias = np.rint(bias * (2.0**bits * FEATURE_UNIT)).clip(-LARGEST_BIAS, LARGEST_BIAS)
    return Layer(scaled.astype(np.int8), scaled_bias.astype(np.int32), bits - gained)
