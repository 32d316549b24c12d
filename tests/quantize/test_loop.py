import numpy as np
import pytest
import torch

from loopyvq.errors import ConfigError
from loopyvq.interop.export import Encode
from loopyvq.quantize import LoopConfig, LoopQuantizer, residual
from loopyvq.tokens import CONTINUE, PAD

SMALL = {"codebook_size": 16, "codebook_dim": 4, "max_depth": 5}


def latents(rows=400, seed=0):
    generator = torch.Generator().manual_seed(seed)
    energy = torch.rand(rows, 1, generator=generator) * 2 + 0.1
    return torch.randn(rows, 4, generator=generator) * energy


@pytest.fixture(scope="module")
def quantizer():
    return LoopQuantizer.fit(latents(), LoopConfig(**SMALL))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codebook_size": 0}, "codebook_size must be at least 1, got 0"),
        ({"codebook_dim": 0}, "codebook_dim must be at least 1"),
        ({"max_depth": 0}, "max_depth must be at least 1"),
        ({"min_length": -1}, "min_length must be within 0..max_depth"),
        ({"min_length": 9, "max_depth": 8}, "min_length must be within 0..max_depth, got 9"),
        ({"threshold": -0.1}, "threshold must be 0 or more, got -0.1"),
        ({"threshold": float("nan")}, "threshold must be 0 or more, got nan"),
        ({"revive_below": -1.0}, "revive_below must be 0 or more"),
        ({"start_iterations": -1}, "start_iterations must be 0 or more"),
        ({"commitment_weight": -1.0}, "commitment_weight must be 0 or more"),
        ({"codebook_weight": -1.0}, "codebook_weight must be 0 or more"),
        ({"gain_ratio": 0.0}, r"gain_ratio must be within \(0, 1\]"),
        ({"gain_ratio": 1.5}, r"gain_ratio must be within \(0, 1\]"),
        ({"step_size": 0.0}, r"step_size must be within \(0, 1\]"),
        ({"min_gain": 1.0}, r"min_gain must be within \[0, 1\)"),
        ({"ema_decay": 1.0}, r"ema_decay must be within \[0, 1\)"),
    ],
)
def test_options_outside_their_range_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        LoopConfig(**options)


@pytest.mark.parametrize("call", ["forward", "encode"])
def test_the_width_must_be_that_of_the_codes(quantizer, call):
    with pytest.raises(ValueError, match=r"codebook_dim = 4 entries, got shape \(2, 3\)"):
        getattr(quantizer, call)(torch.zeros(2, 3))


@pytest.mark.parametrize("call", ["forward", "encode"])
@pytest.mark.parametrize(
    "threshold", [-0.1, float("nan"), torch.tensor([0.1, -0.1]), torch.tensor([0.1, torch.nan])]
)
def test_a_negative_threshold_is_refused(quantizer, call, threshold):
    with pytest.raises(ValueError, match="threshold must be 0 or more"):
        getattr(quantizer, call)(latents(2), threshold=threshold)


@pytest.mark.parametrize("transform", ["residual", "pull"])
@pytest.mark.parametrize("depth", [-1, torch.tensor([1, -2])])
def test_a_negative_depth_is_refused(transform, depth):
    pulling = LoopQuantizer(LoopConfig(transform=transform, **SMALL))
    with pytest.raises(ValueError, match="depth must be 0 or more"):
        pulling.encode(latents(2), depth=depth)


@pytest.mark.parametrize("transform", ["residual", "pull"])
def test_depth_limits_each_site(transform):
    found = LoopQuantizer.fit(latents(), LoopConfig(transform=transform, **SMALL))
    z = latents(6, seed=1).reshape(2, 3, 4)
    depth = torch.tensor([0, 2, 99])
    result = found(z, threshold=0.0, depth=depth)
    assert result.lengths.tolist() == [[0, 2, 5], [0, 2, 5]]
    assert torch.equal(found.encode(z, threshold=0.0, depth=depth).codes, result.codes)
    rows = torch.tensor([[1], [3]])
    assert found.encode(z, threshold=0.0, depth=rows).lengths.tolist() == [[1] * 3, [3] * 3]


def test_thresholds_broadcast_to_the_sites(quantizer):
    z = latents(24).reshape(2, 3, 4, 4)
    by_column = torch.tensor([0.0, 0.2, 0.5, torch.inf])
    result = quantizer(z, threshold=by_column)
    for column, value in enumerate(by_column):
        alone = quantizer(z[:, :, column], threshold=float(value))
        assert torch.equal(result.codes[:, :, column], alone.codes)
    by_image = quantizer(z, threshold=by_column[1:3].reshape(2, 1, 1))
    assert torch.equal(by_image.codes[1], quantizer(z[1], threshold=0.5).codes)


def test_a_mask_leaves_sites_out_and_the_others_alone(quantizer):
    z = latents(24).reshape(2, 3, 4, 4)
    mask = torch.arange(24).reshape(2, 3, 4) % 5 > 1
    result, everywhere = quantizer(z, mask=mask), quantizer(z)
    assert torch.equal(result.codes[mask], everywhere.codes[mask])
    assert torch.equal(result.z_q[mask], everywhere.z_q[mask])
    assert (result.codes[~mask] == PAD).all()
    assert result.residual_norm.isnan().equal(~mask)
    assert not result.converged[~mask].any()
    assert torch.equal(quantizer.encode(z, mask=mask).codes, result.codes)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_rows_that_are_not_finite_get_no_token_and_no_gradient(quantizer, bad):
    z = latents(6)
    z[2, 1] = bad
    z.requires_grad_()
    result = quantizer(z)
    (result.loss + result.z_q.sum()).backward()
    assert result.lengths[2] == 0
    assert result.residual_norm.isnan().nonzero().tolist() == [[2]]
    assert (z.grad[2] == 0).all()
    assert (z.grad[[0, 1, 3, 4, 5]] != 0).all()
    assert torch.equal(quantizer.encode(z.detach()).codes, result.codes)


@pytest.mark.parametrize("shape", [(4,), (1, 4), (2, 3, 4), (2, 3, 5, 4), (0, 4), (2, 0, 3, 4)])
def test_sites_may_have_any_shape(quantizer, shape):
    z = torch.zeros(shape) + 0.7
    result = quantizer(z)
    assert result.z_q.shape == shape
    assert result.codes.shape == (*shape[:-1], 5)
    assert result.lengths.shape == result.residual_norm.shape == shape[:-1]
    assert torch.equal(quantizer.decode(quantizer.encode(z)), result.z_q)


@pytest.mark.parametrize("transform", ["residual", "pull"])
@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.8])
def test_what_converged_is_within_the_bound(transform, threshold):
    data = latents().numpy()
    found = LoopQuantizer.fit(data, LoopConfig(transform=transform, **SMALL))
    result = found(torch.from_numpy(data), threshold=threshold)
    error = (torch.from_numpy(data) - found.decode(result.tokens)).norm(dim=1) / found.sigma
    if transform == "residual":
        assert torch.equal(result.converged, error <= threshold)
    else:  # a pull converges when enough pulls would bring the vector there
        assert result.converged[error <= threshold].all()
    assert (result.converged | (result.lengths == 5)).all()
    assert result.converged.sum() > 0


def test_min_length_runs_at_any_threshold():
    found = LoopQuantizer.fit(latents(), LoopConfig(min_length=2, **SMALL))
    assert (found.encode(latents(), threshold=torch.inf).lengths == 2).all()


@pytest.mark.parametrize("options", [{}, {"transform": "pull"}, {"min_length": 2}])
def test_the_length_curve_tells_the_mean_length_of_a_threshold(options):
    found = LoopQuantizer.fit(latents(), LoopConfig(**SMALL, **options))
    for wanted in (2.4, 3.0, 4.0):
        threshold = found.length_curve.threshold_for(torch.tensor(wanted))
        lengths = found.encode(latents(), threshold=threshold).lengths.double()
        assert lengths.mean() == pytest.approx(wanted, abs=0.25)


def test_fit_takes_what_numpy_makes():
    data = latents(60).numpy()
    expected = LoopQuantizer.fit(data, LoopConfig(**SMALL))
    assert not expected.training
    assert expected.codebook.initialised
    read_only = data.copy()
    read_only.flags.writeable = False
    for same in (read_only, data[::-1][::-1], data.tolist(), np.asfortranarray(data)):
        found = LoopQuantizer.fit(same, LoopConfig(**SMALL))
        torch.testing.assert_close(found.codebook.weight, expected.codebook.weight)
    assert LoopQuantizer.fit(data).config.codebook_dim == 4


def test_fit_depends_on_the_seed_alone():
    config = LoopConfig(**SMALL)
    first = LoopQuantizer.fit(latents(), config, seed=1).state_dict()
    torch.manual_seed(99)
    again = LoopQuantizer.fit(latents(), config, seed=1).state_dict()
    other = LoopQuantizer.fit(latents(), config, seed=2).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["codebook.weight"], other["codebook.weight"])


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.zeros(4, np.float32), "shape"),
        (np.zeros((0, 4), np.float32), "n >= 1"),
        (np.zeros((2, 2, 4), np.float32), "shape"),
        (np.zeros((5, 4), np.int64), "floats"),
        (np.zeros((5, 3), np.float32), "codebook_dim = 4"),
        (np.full((5, 4), np.nan, np.float32), "finite"),
        (np.array([[0.0, 1.0, np.inf, 2.0]]), "finite"),
    ],
)
def test_fit_refuses_arrays_it_cannot_learn_from(vectors, message):
    with pytest.raises(ValueError, match=message):
        LoopQuantizer.fit(vectors, LoopConfig(**SMALL))


def test_training_learns_and_frozen_codes_do_not():
    learning = LoopQuantizer(LoopConfig(start_iterations=2, **SMALL)).train()
    frozen = LoopQuantizer(LoopConfig(codebook_update="frozen", **SMALL)).train()
    codes = frozen.codebook.weight.clone()
    for seed in range(3):
        learning(latents(seed=seed))
        frozen(latents(seed=seed))
    assert learning.codebook.updates == 3
    assert learning.sigma != 1.0
    assert learning.length_curve.started
    assert torch.equal(frozen.codebook.weight, codes)
    assert frozen.sigma == 1.0


def test_the_weights_of_the_losses_add_up():
    config = LoopConfig(
        codebook_update="gradient", commitment_weight=0.5, codebook_weight=2.0, **SMALL
    )
    result = LoopQuantizer.fit(latents(), config)(latents())
    expected = 0.5 * result.commitment_loss + 2.0 * result.codebook_loss
    torch.testing.assert_close(result.loss, expected)
    assert result.codebook_loss > 0


@pytest.mark.parametrize(
    "options", [{"beam_size": 3}, {"stop": "rate_distortion", "priced_codes": True}]
)
def test_how_tokens_are_searched_for_may_change_at_any_time(options):
    config = LoopConfig(**SMALL, **options)
    configured, changed = LoopQuantizer(config), LoopQuantizer(LoopConfig(**SMALL))
    greedy = LoopQuantizer.fit(latents(), LoopConfig(**SMALL))
    for found in (configured, changed):
        found.load_state_dict(greedy.state_dict())
        found.eval()
    for name, value in options.items():
        setattr(changed, name, value)
    expected = configured.encode(latents(), threshold=0.3)
    tokens = changed.encode(latents(), threshold=0.3)
    assert torch.equal(tokens.codes, expected.codes)
    assert not torch.equal(tokens.codes, greedy.encode(latents(), threshold=0.3).codes)
    assert torch.equal(greedy.decode(tokens), configured.decode(expected))


@pytest.fixture
def going_on():
    """A loop whose first turn has codes of its own, in another place than the others."""
    config = LoopConfig(
        codebook_size=40, codebook_dim=5, max_depth=6, min_length=1, first_dummy=1,
        first_codebook=True, codebook_update="frozen", learn_gains=False, scale="absolute",
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    z = 3 + torch.randn(1500, 5, generator=generator)
    loop = LoopQuantizer(config).eval()
    loop.fit_later_turns(3 + torch.randn(40, 5, generator=generator), z, generator)
    return loop, z


def by_hand(loop, z, threshold):
    """Search every turn's codes exhaustively in float64."""
    books = [loop.first_codes] + [gain * loop.codebook.weight for gain in loop.gains()[1:]]
    total, codes = torch.zeros_like(z), torch.full((len(z), len(books)), PAD)
    going = torch.ones(len(z), dtype=torch.bool)
    for turn, book in enumerate(books):
        left = z.double() - total.double()
        going &= (left.norm(dim=1) > threshold) | (turn == 0)
        best = torch.cdist(left, book.double()).argmin(dim=1)
        energy = (z.double() - (total + book[best]).double()).square().sum(dim=1)
        helps = (energy < left.square().sum(dim=1)) | (turn == 0)
        codes[:, turn] = torch.where(going, torch.where(helps, best, CONTINUE), PAD)
        total = torch.where((going & helps).unsqueeze(1), total + book[best], total)
    return codes, total


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.5])
@pytest.mark.parametrize("way", ["this machine's", "dense", "direct"])
def test_a_first_turn_with_its_own_codes(going_on, monkeypatch, threshold, way):
    loop, z = going_on
    if way != "this machine's":
        monkeypatch.setattr(residual, "prefers_compiled", lambda latents: False)
    if way == "dense":
        monkeypatch.setattr(residual, "direct_walk", residual.dense_walk)
    codes, total = by_hand(loop, z, threshold)
    result = loop(z, threshold)
    assert torch.equal(result.codes, codes)
    assert torch.equal(result.z_q, total)
    assert torch.equal(loop.decode(result.tokens), total)
    assert (codes == CONTINUE).any() or threshold > 0


def test_a_beam_is_never_worse_where_the_first_turn_has_its_own_codes(going_on):
    loop, z = going_on
    greedy = loop(z[:200], 0.0).residual_norm
    loop.beam_size = 3
    assert (loop(z[:200], 0.0).residual_norm <= greedy + 1e-6).all()
    loop.beam_size, loop.stop = 1, "rate_distortion"
    assert (loop.encode(z[:200], 0.5).lengths >= 1).all()


def test_a_loop_that_goes_on_trains_what_is_around_it(going_on, tmp_path):
    loop, z = going_on
    before = {name: item.clone() for name, item in loop.state_dict().items()}
    assert "first_codes" in before
    z = z[:50].clone().requires_grad_()
    result = loop.train()(z, 0.3)
    result.loss.backward()
    assert z.grad.abs().sum() > 0
    assert result.codebook_loss == 0
    assert all(torch.equal(item, before[name]) for name, item in loop.state_dict().items())


def test_a_loop_that_goes_on_is_exported(going_on):
    loop, z = going_on
    program = torch.export.export(
        Encode(loop), (z[:4], torch.tensor(0.3)), dynamic_shapes=({0: torch.export.Dim("n")}, None)
    ).module()
    codes, lengths = program(z, torch.tensor(0.3))
    expected = loop.encode(z, torch.tensor(0.3))
    assert torch.equal(codes, expected.codes)
    assert torch.equal(lengths, expected.lengths)


@pytest.mark.parametrize(
    ("name", "value"),
    [("beam_size", 0), ("min_length", 9), ("token_price", float("nan")),
     ("priced_codes", True)],
)  # fmt: skip
def test_attributes_are_checked_when_they_are_used(name, value):
    quantizer = LoopQuantizer.fit(torch.randn(50, 4), LoopConfig(codebook_size=8, codebook_dim=4))
    setattr(quantizer, name, value)
    with pytest.raises(ConfigError, match=name):
        quantizer(torch.randn(5, 4))


def test_a_model_in_float64_chooses_the_codes_of_float32():
    vectors = torch.randn(400, 4)
    quantizer = LoopQuantizer.fit(vectors, LoopConfig(codebook_size=16, codebook_dim=4))
    codes = quantizer.encode(vectors, threshold=0.2).codes
    quantizer.double()
    assert quantizer.codebook.weight.dtype == torch.float32
    for given in (vectors, vectors.double()):
        assert torch.equal(quantizer.encode(given, threshold=0.2).codes, codes)
    assert quantizer.train()(vectors.double()).z_q.dtype == torch.float64


def test_narrow_codes_decode():
    quantizer = LoopQuantizer.fit(torch.randn(50, 4), LoopConfig(codebook_size=8, codebook_dim=4))
    tokens = quantizer.encode(torch.randn(5, 4), threshold=0.2)
    narrow = tokens._replace(codes=tokens.codes.short())
    assert torch.equal(quantizer.decode(narrow), quantizer.decode(tokens))
