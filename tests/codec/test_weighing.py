import numpy as np
import pytest
import torch

from loopyvq.codec.bound import bounded_tokens
from loopyvq.codec.stakes import Aim
from loopyvq.codec.tiles import latents_in_tiles
from loopyvq.codec.weighing import WeighingPort, weighed_tokens
from loopyvq.coding import CodedTokens, fit_tables, ideal_bits
from loopyvq.coding.range_coder import TOTAL
from loopyvq.errors import ConfigError
from loopyvq.quantize import LoopConfig, LoopQuantizer


def bits_of(tokens, quantizer, tables):
    arrays = tokens.codes.numpy(), tokens.lengths.numpy()
    return ideal_bits(*arrays, quantizer.codebook_size, "context", tables)


def squared_error(tokens, quantizer, latents):
    error = (latents - quantizer.decode(tokens)) / float(quantizer.sigma)
    return float(error.double().square().sum())


@pytest.fixture(scope="module")
def latents(tokenizer, image):
    return latents_in_tiles(tokenizer, image)


def choose(price, keeps=1.0, may_stop=True, frequencies=(1, 1, 1, 1)):
    """One site at (1, 0.6) with codes (1, 0) and (1, 1)."""
    residuals = np.array([[[1.0, 0.6]]])
    codes = np.array([[1.0, 0.0], [1.0, 1.0]])
    port = WeighingPort(residuals, codes, np.array([[price]]), keeps, may_stop)
    shares = np.array([frequencies]) * (TOTAL // sum(frequencies))
    nowhere = np.zeros(1, np.int64)
    return port.symbols(nowhere, nowhere, shares).tolist(), residuals.reshape(2).tolist()


def test_free_bits_take_the_nearest_code():
    symbols, left = choose(price=0.0)
    assert symbols == [1]
    assert left == pytest.approx([0.0, -0.4])


def test_a_likely_code_wins_over_a_near_one():
    assert choose(price=0.5, frequencies=(13, 1, 1, 1))[0] == [0]


def test_stops_where_bits_are_dear_unless_it_must_go_on():
    assert choose(price=10.0)[0] == [3]
    assert choose(price=10.0, may_stop=False)[0] != [3]


def test_what_later_turns_repair_weighs_less():
    likely = {"frequencies": (5, 1, 1, 1), "price": 0.03, "may_stop": False}
    assert choose(**likely)[0] == [1]
    assert choose(**likely, keeps=0.1)[0] == [0]


def test_errors_of_an_entry_that_weighs_nothing_are_not_seen():
    residuals, codes = np.array([[[1.0, 0.6]]]), np.array([[1.0, 0.0], [1.0, 1.0]])
    shares, nowhere = np.full((1, 4), TOTAL // 4), np.zeros(1, np.int64)
    frequent_first = np.array([[2, 1, 1, 1]]) * (TOTAL // 5)
    for metric, frequencies, chosen in (
        (None, shares, 1),
        (np.array([1.0, 1.0]), frequent_first, 1),
        (np.array([1.0, 0.0]), frequent_first, 0),
    ):
        port = WeighingPort(residuals.copy(), codes, np.full((1, 1), 0.01), metric=metric)
        assert port.symbols(nowhere, nowhere, frequencies).tolist() == [chosen]


def test_asks_for_tables():
    port = WeighingPort(np.zeros((1, 1, 2)), np.zeros((2, 2)), np.ones((1, 1)))
    nowhere = np.zeros(1, np.int64)
    with pytest.raises(NotImplementedError, match="tables"):
        port.stops(nowhere, nowhere, np.ones((1, 2), np.int64))


def test_tokens_cost_less_in_squared_error_plus_priced_bits(tokenizer, tables, latents):
    quantizer, price = tokenizer.quantizer, 0.01
    start = bounded_tokens(quantizer, latents, 0.3, "rate_distortion", bound=False).tokens
    found = weighed_tokens(quantizer, latents, tables, start, price).validate(16)

    def cost(tokens):
        bits = bits_of(tokens, quantizer, tables)
        return squared_error(tokens, quantizer, latents) + price * bits

    assert cost(found) < 0.97 * cost(start)


def test_higher_prices_buy_fewer_bits(tokenizer, tables, latents):
    quantizer = tokenizer.quantizer
    start = quantizer.encode(latents, 0.3)
    cheap, dear = (
        weighed_tokens(quantizer, latents, tables, start, price) for price in (0.001, 0.05)
    )
    assert bits_of(dear, quantizer, tables) < bits_of(cheap, quantizer, tables)
    errors = [squared_error(tokens, quantizer, latents) for tokens in (cheap, dear)]
    assert errors[0] < errors[1]


def test_sites_of_little_importance_get_fewer(tokenizer, tables, latents):
    start = tokenizer.quantizer.encode(latents, 0.3)
    alike = weighed_tokens(tokenizer.quantizer, latents, tables, start, 0.01)
    importance = np.ones(latents.shape[:2])
    importance[:3] = 0.1
    aim = Aim(latents, importance=importance)
    found = weighed_tokens(tokenizer.quantizer, latents, tables, start, 0.01, aim=aim)
    assert found.lengths[:3].sum() < 0.9 * alike.lengths[:3].sum()


def test_fixed_depth_keeps_its_length(tokenizer, tables, latents):
    quantizer = tokenizer.quantizer
    start = quantizer.encode(latents, 0.0, 3)
    found = weighed_tokens(quantizer, latents, tables, start, 0.01, may_stop=False).validate(16)
    assert found.lengths.unique().tolist() == [3]
    assert bits_of(found, quantizer, tables) < bits_of(start, quantizer, tables)


def test_least_length(tokenizer, tables, latents):
    start = tokenizer.quantizer.encode(latents, 1.0)
    found = weighed_tokens(tokenizer.quantizer, latents, tables, start, 10.0, min_length=1)
    assert found.lengths.unique().tolist() == [1]


def test_a_first_turn_with_codes_of_its_own_is_weighed_with_them(latents):
    rows, generator = latents.reshape(-1, 4), torch.Generator().manual_seed(0)
    config = LoopConfig(
        codebook_size=16, codebook_dim=4, max_depth=3, first_codebook=True, start_iterations=2,
        codebook_update="frozen",
    )  # fmt: skip
    quantizer = LoopQuantizer(config).eval()
    quantizer.sigma.fill_(float(rows.square().sum(dim=1).mean().sqrt()))
    quantizer.fit_later_turns(rows[:16] / quantizer.sigma, rows[16:], generator)
    nearest = quantizer.encode(latents, 0.0, 3)
    codes, gains = quantizer.codebook.weight.double().numpy(), quantizer.gains().double().numpy()
    samples = [CodedTokens(nearest.codes.numpy(), nearest.lengths.numpy())]
    tables = fit_tables(samples, codes, gains, examples_per_turn=200, epochs=1)
    found = weighed_tokens(quantizer, latents, tables, nearest, 1e-9, may_stop=False)
    assert torch.equal(found.codes[..., 0], nearest.codes[..., 0])
    errors = [squared_error(tokens, quantizer, latents) for tokens in (found, nearest)]
    assert errors[0] == pytest.approx(errors[1], rel=0.02)


def test_files_hold_the_weighed_tokens_and_keep_their_bound(codec, tables, latents, image):
    tokens = bounded_tokens(
        codec.tokenizer.quantizer, latents, 0.3, "in_context", bound=False, tables=tables
    ).tokens
    data = codec.compress(image, 0.3, stop="in_context", bound=False, tune="psnr", effort=0)
    assert codec.decode_sites(data).tokens.codes.equal(tokens.codes)
    assert codec.verify(codec.compress(image, 0.3, stop="in_context"), image).worst <= 0.3


def test_a_model_without_tables_says_what_to_do(tokenizer, latents):
    with pytest.raises(ConfigError, match="loopyvq tables"):
        bounded_tokens(tokenizer.quantizer, latents, 0.3, "in_context")
