"""Entropy tables fitted to how a tokenizer speaks of images, and to what they make it say.

images --latents--> tokens by the rules that need no tables --> tables
                    tokens chosen by what those say they cost --> the tables that are kept
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from loopyvq.codec.bound import bounded_tokens
from loopyvq.codec.importance import TUNES, site_importance
from loopyvq.codec.stakes import Aim
from loopyvq.codec.tiles import latents_in_tiles
from loopyvq.codec.weighing import weighed_tokens
from loopyvq.coding import CodedTokens, Tables, fit_tables
from loopyvq.coding.fit import NARROW
from loopyvq.data.transforms import middle_of
from loopyvq.errors import DataError
from loopyvq.models import Tokenizer
from loopyvq.quantize import LoopQuantizer
from loopyvq.tokens import Tokens

__all__ = ["fit_tables_to_images"]

# Mean lengths, as shares of the largest, between which the thresholds of the fit are spread.
_SHORTEST, _LONGEST = 0.03, 0.7
_DRAWS_PER_IMAGE = 3
# Of larger images the middle is enough.
_MOST_PIXELS = 768
# Tables that only tell prices need not be the best.
_FIRST_EXAMPLES, _FIRST_EPOCHS = 100_000, 3
# One of so many tokens that were not weighed stays among the others: files may hold such as well.
_KEPT_OF_FIRST = 3
# Prices of a bit at fixed depth, as shares of the mean squared error: around the best.
_FIXED_PRICES = 0.005, 0.08


def fit_tables_to_images(
    tokenizer: Tokenizer,
    images: Iterable[Tensor],
    seed: int = 0,
    fixed_depth: bool | None = None,
    examples_per_turn: int = 400_000,
    widths: Sequence[int] = NARROW,
) -> Tables:
    """Fit entropy tables to how a tokenizer speaks of images.

    Twice: the second time mostly to tokens that were chosen by what the first tables say they
    cost, as files of the best kind are made.

    Args:
        tokenizer: the model.
        images: 8-bit, ``c H W``, such as those it was trained on; some hundreds are enough.
        seed: of all choices and of the fit.
        fixed_depth: whether all sites will have the same number of tokens. If not, every image is
            encoded at three thresholds, which spread the mean length evenly, with either stop
            rule. By default true of models whose own threshold is 0.
        examples_per_turn: symbols to learn from, at most.
        widths: of the networks' hidden layers by turn, the last for all further turns.

    Returns:
        The tables.

    Raises:
        DataError: there are no images.

    References:
        Chou, Lookabaugh and Gray, "Entropy-constrained vector quantization", 1989,
        https://doi.org/10.1109/29.17498
    """
    quantizer, generator = tokenizer.quantizer, np.random.default_rng(seed)
    if fixed_depth is None:
        fixed_depth = quantizer.config.threshold == 0
    samples = [_sample(tokenizer, image, generator) for image in images]
    if not samples:
        raise DataError("fitting tables needs at least one readable image")
    codes = quantizer.codebook.weight.detach().double().cpu().numpy()
    gains = quantizer.gains().detach().double().cpu().numpy()
    first = [
        _coded(tokens)
        for sample in samples
        for tokens in _tokens(quantizer, sample, fixed_depth, generator)
    ]
    if quantizer.config.transform == "pull":
        return fit_tables(first, codes, gains, seed, examples_per_turn, widths=widths)
    tables = fit_tables(first, codes, gains, seed, _FIRST_EXAMPLES, _FIRST_EPOCHS)
    weighed = [
        _coded(tokens)
        for sample in samples
        for tokens in _weighed(quantizer, sample, tables, fixed_depth, generator)
    ]
    kept = first[::_KEPT_OF_FIRST]
    return fit_tables([*weighed, *kept], codes, gains, seed, examples_per_turn, widths=widths)


def _sample(
    tokenizer: Tokenizer, image: UInt8[Tensor, "c H W"], generator: np.random.Generator
) -> Aim:
    middle = middle_of(image, _MOST_PIXELS)
    tune = tuple(TUNES)[generator.integers(len(TUNES))]
    importance = site_importance(middle, tokenizer.config.downsampling, tune)
    return Aim(latents_in_tiles(tokenizer, middle), importance=importance)


def _tokens(
    quantizer: LoopQuantizer, sample: Aim, fixed_depth: bool, generator: np.random.Generator
) -> Iterator[Tokens]:
    """Encode by the rules that need no tables."""
    if fixed_depth:
        yield bounded_tokens(quantizer, sample.latents, 0.0, "threshold", bound=False).tokens
        return
    is_pull = quantizer.config.transform == "pull"
    rules = ["threshold"] if is_pull else ["threshold", "rate_distortion"]
    for threshold in _thresholds(quantizer, generator):
        rule = rules[generator.integers(len(rules))]
        yield bounded_tokens(quantizer, sample.latents, threshold, rule, bound=False).tokens


def _weighed(
    quantizer: LoopQuantizer,
    sample: Aim,
    tables: Tables,
    fixed_depth: bool,
    generator: np.random.Generator,
) -> Iterator[Tokens]:
    """Encode by what tables say that tokens cost."""
    latents = sample.latents
    if not fixed_depth:
        for threshold in _thresholds(quantizer, generator):
            yield bounded_tokens(
                quantizer, latents, threshold, "in_context", False, None, tables, sample
            ).tokens
        return
    for turns in generator.integers(1, quantizer.max_depth + 1, _DRAWS_PER_IMAGE):
        start = quantizer.encode(latents.to(quantizer.sigma.device), 0.0, int(turns))
        error = (latents.to(start.codes.device) - quantizer.decode(start)) / quantizer.sigma
        share = np.exp(generator.uniform(*np.log(_FIXED_PRICES)))
        price = share * float(error.square().sum(dim=-1).mean())
        yield weighed_tokens(quantizer, latents, tables, start, price, may_stop=False, aim=sample)


def _thresholds(quantizer: LoopQuantizer, generator: np.random.Generator) -> Iterator[float]:
    """Draw thresholds whose mean lengths are spread evenly over their logarithm."""
    for _ in range(_DRAWS_PER_IMAGE):
        share = np.exp(generator.uniform(np.log(_SHORTEST), np.log(_LONGEST)))
        length = torch.tensor(share * quantizer.max_depth, device=quantizer.sigma.device)
        yield float(quantizer.length_curve.threshold_for(length))


def _coded(tokens: Tokens) -> CodedTokens:
    """Take tokens as the coder does, in as little memory as their codes allow."""
    codes, lengths = (part.cpu().numpy() for part in tokens)
    return CodedTokens(codes.astype(np.int32), lengths.astype(np.int32))
