import pytest
import torch

from loopyvq.quantize.codebook import Assignments, Codebook


def assignments(residuals, codes, gains=None, turns=None):
    rows = len(codes)
    return Assignments(
        torch.tensor(residuals).reshape(rows, 1),
        torch.tensor(codes, dtype=torch.int64),
        torch.tensor(gains) if gains else torch.ones(rows),
        torch.tensor(turns) if turns else torch.zeros(rows, dtype=torch.int64),
    )


def learn(codebook, news, times=1):
    for _ in range(times):
        codebook.collect(news)
        codebook.update(news)


def test_least_squares_sums_give_the_best_codes():
    news = assignments([[2.0], [0.5], [3.0]], [1, 1, 0], gains=[1.0, 0.5, 0.25])
    sums, mass = news.least_squares(3)
    assert sums.squeeze(1).tolist() == [0.75, 2.25, 0.0]
    assert mass.tolist() == [0.0625, 1.25, 0.0]
    best = (sums[1, 0] / mass[1]).requires_grad_()
    error = (2.0 - best) ** 2 + (0.5 - 0.5 * best) ** 2
    error.backward()
    assert best.grad.abs() < 1e-6


@pytest.mark.parametrize(("update", "parameters"), [("ema", 0), ("gradient", 1), ("frozen", 0)])
def test_only_the_optimizers_codebook_is_a_parameter(update, parameters):
    codebook = Codebook(4, 2, update, 0.99, 0.0)
    assert len(list(codebook.parameters())) == parameters
    assert codebook.size == 4
    assert "weight" in codebook.state_dict()


def test_averages_move_towards_the_news():
    codebook = Codebook(2, 1, "ema", 0.9, 0.0)
    codebook.set(torch.tensor([[1.0], [-1.0]]))
    news = assignments([[3.0], [3.0]], [0, 0])
    learn(codebook, news)
    # The first batch weighs what the code itself weighs, so it counts for 1 - decay.
    torch.testing.assert_close(codebook.weight, torch.tensor([[1.2], [-1.0]]))
    learn(codebook, news, times=200)
    torch.testing.assert_close(codebook.weight, torch.tensor([[3.0], [-1.0]]))
    assert codebook.updates == 201


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_news_count_whatever_their_sign(sign):
    codebook = Codebook(1, 1, "ema", 0.5, 0.0)
    codebook.set(torch.tensor([[1.0]]))
    learn(codebook, assignments([[4.0 * sign]], [0]))
    torch.testing.assert_close(codebook.weight, torch.tensor([[0.5 + 2.0 * sign]]))


def test_no_news_change_nothing_but_the_count():
    codebook = Codebook(3, 1, "ema", 0.9, 0.5)
    learn(codebook, assignments([[1.0], [2.0]], [0, 1]))
    before = {key: value.clone() for key, value in codebook.state_dict().items()}
    learn(codebook, assignments([], []), times=3)
    assert codebook.updates == before.pop("updates") + 3
    assert all(torch.equal(codebook.state_dict()[key], before[key]) for key in before)


def test_what_was_collected_is_used_once():
    codebook = Codebook(2, 1, "ema", 0.9, 0.0)
    news = assignments([[3.0], [1.0]], [0, 0])
    codebook.collect(news)
    codebook.collect(news)
    assert codebook.pending_usage.tolist() == [4.0, 0.0]
    codebook.update(news)
    assert codebook.pending_usage.sum() == 0
    assert codebook.usage.tolist() == [4.0, 0.0]


def test_dead_codes_become_residuals_at_the_codes_scale():
    codebook = Codebook(3, 1, "ema", 0.99, 0.1)
    codebook.set(torch.tensor([[1.0], [50.0], [60.0]]))
    news = assignments([[2.0], [4.0]], [0, 0], gains=[1.0, 0.5], turns=[0, 1])
    learn(codebook, news, times=9)
    torch.testing.assert_close(codebook.weight[1:], torch.tensor([[50.0], [60.0]]))
    learn(codebook, news)
    assert sorted(codebook.weight[1:].flatten().tolist()) == [2.0, 8.0]
    torch.testing.assert_close(codebook.sums[1:], codebook.weight[1:] * codebook.mass[1:, None])
    assert (codebook.usage[1:] > 0.1 * codebook.usage.mean()).all()


def test_more_dead_codes_than_residuals_leave_the_rest_alone():
    codebook = Codebook(5, 1, "ema", 0.99, 0.1)
    codebook.set(torch.tensor([[1.0], [50.0], [60.0], [70.0], [80.0]]))
    learn(codebook, assignments([[2.0]], [0]), times=10)
    assert (codebook.weight == 2.0).sum() == 1
    assert (codebook.weight >= 50).sum() == 3


def test_revival_can_be_switched_off():
    codebook = Codebook(2, 1, "ema", 0.99, 0.0)
    codebook.set(torch.tensor([[1.0], [50.0]]))
    learn(codebook, assignments([[1.0]], [0]), times=30)
    torch.testing.assert_close(codebook.weight[1], torch.tensor([50.0]))


def test_dead_codes_of_the_optimizer_are_revived_too():
    codebook = Codebook(2, 1, "gradient", 0.99, 0.1)
    codebook.set(torch.tensor([[1.0], [50.0]]))
    learn(codebook, assignments([[2.0]], [0]), times=10)
    assert codebook.weight.tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize(
    "codes", [torch.zeros(3, 2), torch.zeros(2, 3), torch.tensor([[0.0, torch.nan], [0.0, 0.0]])]
)
def test_codes_that_do_not_fit_are_refused(codes):
    codebook = Codebook(2, 2, "ema", 0.99, 0.0)
    with pytest.raises(ValueError, match=r"finite and of shape \(2, 2\)"):
        codebook.set(codes)
    assert not codebook.initialised


def test_setting_codes_forgets_the_averages():
    codebook = Codebook(2, 1, "ema", 0.9, 0.0)
    learn(codebook, assignments([[3.0], [5.0]], [0, 1]), times=5)
    codebook.set(torch.tensor([[7.0], [8.0]]))
    assert codebook.mass.sum() == codebook.sums.sum() == codebook.usage.sum() == 0
    learn(codebook, assignments([[9.0], [8.0]], [0, 1]))
    torch.testing.assert_close(codebook.weight, torch.tensor([[7.2], [8.0]]))


def test_prices_are_bits_as_a_share_of_their_mean():
    codebook = Codebook(3, 1, "ema", 0.99, 0.0)
    codebook.usage.copy_(torch.tensor([200.0, 100.0, 100.0]))
    share = (codebook.usage + 1e-2 * codebook.usage.mean()).double()
    share = share / share.sum()
    bits = -share.log2()
    expected = (bits / (share * bits).sum()).float()
    torch.testing.assert_close(codebook.prices(), expected)
    assert codebook.prices()[1:].tolist() == pytest.approx([4 / 3, 4 / 3], rel=0.02)


def test_a_code_that_is_never_used_has_a_price_too():
    codebook = Codebook(4, 1, "ema", 0.99, 0.0)
    codebook.usage.copy_(torch.tensor([1e6, 1e6, 1e6, 0.0]))
    prices = codebook.prices()
    assert prices.isfinite().all()
    assert prices.argmax() == 3
    assert (prices > 0).all()


@pytest.mark.parametrize("usage", [0.0, 1.0, 1e30])
def test_codes_of_equal_usage_have_the_price_one(usage):
    codebook = Codebook(5, 1, "ema", 0.99, 0.0)
    codebook.usage.fill_(usage)
    torch.testing.assert_close(codebook.prices(), torch.ones(5))


@pytest.mark.parametrize("usage", [0.0, 7.0])
def test_the_only_code_has_the_price_one(usage):
    codebook = Codebook(1, 1, "ema", 0.99, 0.0)
    codebook.usage.fill_(usage)
    assert codebook.prices().tolist() == [1.0]


def test_averages_are_of_full_codes_where_codes_have_few_entries():
    codebook = Codebook(1, 2, "ema", 0.5, 0.0, supports=(1,))
    codebook.set(torch.tensor([[2.0, 1.0]]))
    assert codebook.weight.tolist() == [[2.0, 0.0]]
    news = Assignments(
        torch.tensor([[1.0, 4.0]]), torch.tensor([0]), torch.ones(1), torch.tensor([0])
    )
    learn(codebook, news)
    assert codebook.weight.tolist() == [[0.0, 2.0]]
    learn(codebook, news)
    assert codebook.weight.tolist() == [[0.0, 3.0]]


def test_revived_codes_have_few_entries():
    codebook = Codebook(2, 3, "ema", 0.99, 0.1, supports=(2,))
    codebook.set(torch.tensor([[1.0, 0.0, 0.0], [50.0, 0.0, 0.0]]))
    news = Assignments(
        torch.tensor([[1.0, 2.0, -3.0]]), torch.tensor([0]), torch.ones(1), torch.tensor([0])
    )
    learn(codebook, news, times=10)
    assert codebook.weight[1].tolist() == [0.0, 2.0, -3.0]
