import numpy as np
import pytest
from hypothesis import strategies as st

from loopyvq.coding import CodedTokens, fit_tables
from loopyvq.coding.turns import CONTINUE, PAD


def make_tokens(sites, depth, size, seed, kind="random", dummies=0.3):
    """Tokens of random codes; in kind ``smooth`` neighbours are alike."""
    generator = np.random.default_rng(seed)
    lengths = {
        "random": generator.integers(0, depth + 1, sites),
        "full": np.full(sites, depth),
        "empty": np.zeros(sites, np.int64),
        "smooth": np.broadcast_to(np.arange(sites[-1]) * (depth + 1) // max(sites[-1], 1), sites),
    }[kind]
    codes = generator.integers(0, size, (*sites, depth))
    if kind == "smooth":
        codes = np.broadcast_to((lengths * 7 % size)[..., None], codes.shape)
    codes = np.where(generator.random(codes.shape) < dummies, CONTINUE, codes)
    codes = np.where(np.arange(depth) < lengths[..., None], codes, PAD)
    return CodedTokens(codes, np.array(lengths))


@st.composite
def tokens_and_size(draw, max_axes=2, sizes=(1, 2, 3, 9, 600)):
    sites = tuple(draw(st.lists(st.integers(0, 19), min_size=1, max_size=max_axes)))
    depth, size = draw(st.integers(0, 5)), draw(st.sampled_from(sizes))
    kind = draw(st.sampled_from(["random", "full", "empty", "smooth"]))
    dummies = draw(st.sampled_from([0.0, 0.4, 1.0]))
    return make_tokens(sites, depth, size, draw(st.integers(0, 2**31)), kind, dummies), size


@pytest.fixture(scope="session")
def tables():
    """Tables for 9 codes of width 3 and 4 turns, fitted to a few smooth grids."""
    codebook = np.random.default_rng(0).normal(size=(9, 3))
    samples = [make_tokens((12, 16), 4, 9, seed, "smooth", 0.1) for seed in range(6)]
    gains = np.array([1.0, 0.6, 0.4, 0.3])
    return fit_tables(samples, codebook, gains, examples_per_turn=4000, epochs=3)
