import pytest
import torch

from loopyvq.models.prior.attention import TransformerConfig
from loopyvq.models.prior.depth import DepthTransformer
from loopyvq.models.prior.sampling import SamplingConfig
from loopyvq.tokens import CONTINUE, PAD, Tokens


def depth_of(stops=True, min_length=0) -> DepthTransformer:
    torch.manual_seed(0)
    sizes = TransformerConfig(width=8, layers=1, heads=2)
    return DepthTransformer(5, 4, min_length, 6, sizes, stops=stops).eval()


def padded_reference(depth, context, codes, lengths):
    """The same with every site padded to the full depth, symbol by symbol."""
    marked = torch.where(codes < 0, 5, codes)
    before = depth.codes(marked[:, :-1])
    before = torch.cat([torch.zeros(len(codes), 1, 8), before], dim=1)
    features = depth.context(context).unsqueeze(1) + depth.turns + before
    logits = (depth.head(depth.transformer(features)) + depth.odds).float()
    nats = []
    for row, site, length in zip(logits, marked, lengths.tolist(), strict=True):
        legal = [turn >= depth.min_length for turn in range(4)]
        rows = [row[turn] if legal[turn] else row[turn, :6] for turn in range(4)]
        symbols = [int(site[turn]) for turn in range(length)] + [6] * (length < 4)
        pairs = zip(rows, symbols, strict=False)
        nats.append(-sum(one.log_softmax(0)[symbol] for one, symbol in pairs))
    return torch.stack(nats)


@pytest.mark.parametrize("min_length", [0, 1])
def test_grouping_by_length_changes_nothing(min_length):
    depth = depth_of(min_length=min_length)
    lengths = torch.tensor([4, min_length, 2, 4, 1, 3, min_length])
    codes = torch.randint(0, 6, (7, 4))
    codes = torch.where(codes == 5, CONTINUE, codes)
    codes = torch.where(torch.arange(4) < lengths.unsqueeze(1), codes, PAD)
    context = torch.randn(7, 6)
    with torch.no_grad():
        found = depth(context, codes, lengths)
        expected = padded_reference(depth, context, codes, lengths)
    assert torch.allclose(found.code + found.stop, expected, atol=1e-5)


@pytest.mark.parametrize("stops", [True, False])
def test_draws_are_legal(stops):
    depth = depth_of(stops, min_length=1)
    lengths = None if stops else torch.randint(0, 5, (50,))
    uniform = torch.rand(50, 4, dtype=torch.float64)
    with torch.no_grad():
        codes, found = depth.draw(
            torch.randn(50, 6), SamplingConfig(), uniform, cache=depth.cache(50), lengths=lengths
        )
    Tokens(codes, found).validate(5)
    if lengths is not None:
        assert torch.equal(found, lengths)
    else:
        assert set(found.tolist()) == {1, 2, 3, 4}


def test_an_untrained_prior_stops_half_of_the_time():
    sizes = TransformerConfig(width=8, layers=1, heads=2)
    depth = DepthTransformer(500, 4, 0, 6, sizes, stops=True).eval()
    uniform = torch.rand(2000, 4, dtype=torch.float64)
    with torch.no_grad():
        _, lengths = depth.draw(
            torch.randn(2000, 6), SamplingConfig(), uniform, cache=depth.cache(2000)
        )
    assert 0.4 < float((lengths == 0).float().mean()) < 0.6


def test_eagerness_lengthens():
    depth, context = depth_of(), torch.randn(200, 6)
    means = []
    for eagerness in (-4.0, 0.0, 4.0):
        uniform = torch.rand(200, 4, dtype=torch.float64)
        with torch.no_grad():
            _, lengths = depth.draw(
                context,
                SamplingConfig(),
                uniform,
                cache=depth.cache(200),
                eagerness=torch.full((200,), eagerness),
            )
        means.append(float(lengths.float().mean()))
    assert means[0] < means[1] < means[2]


def test_turns_have_temperatures_of_their_own():
    depth, context = depth_of(min_length=4), torch.randn(1, 6).expand(200, 6)
    sampling = SamplingConfig(turn_temperatures=(1e-6, 1.0))
    with torch.no_grad():
        codes, _ = depth.draw(
            context, sampling, torch.rand(200, 4, dtype=torch.float64), cache=depth.cache(200)
        )
    assert len(codes[:, 0].unique()) == 1
    assert len(codes[:, 1].unique()) > 1


def test_guidance_weighs_going_on_apart_from_codes():
    depth = depth_of()
    torch.nn.init.normal_(depth.head.weight, std=1.0)
    with torch.no_grad():
        depth.head.weight[6] = 0
        depth.odds[:, 6] = 7
        told = 20 * torch.randn(1, 6)
        untold = -told
        seen = depth.transformer(
            (depth.context(torch.cat([told, untold])) + depth.turns[0])[:, None]
        )
        logits = depth.head(seen[:, 0]) + depth.odds[0]
        odds = logits[:, 6] - logits[:, :6].logsumexp(dim=1)
        guided = odds[1] + 1.5 * (odds[0] - odds[1])
        joint = logits[1] + 1.5 * (logits[0] - logits[1])
        assert abs(float(guided.sigmoid() - joint.softmax(0)[6])) > 0.05
        context = torch.cat([told.expand(4000, 6), untold.expand(4000, 6)])
        uniform = torch.rand(4000, 4, dtype=torch.float64)
        _, lengths = depth.draw(
            context, SamplingConfig(guidance=1.5), uniform, cache=depth.cache(8000)
        )
    assert float((lengths == 0).float().mean()) == pytest.approx(float(guided.sigmoid()), abs=0.03)
