import pytest
import torch

from loopyvq.checkpoint import save_tokenizer
from loopyvq.errors import CheckpointError
from loopyvq.models import Tokenizer
from loopyvq.training import train_tokenizer, train_vqgan
from loopyvq.training.start import start_tokenizer
from tests.training.conftest import tiny_training
from tests.training.test_vqgan_task import tiny_gan


@pytest.mark.parametrize(
    ("make", "train"), [(tiny_gan, train_vqgan), (tiny_training, train_tokenizer)]
)
def test_a_run_starts_from_another_model(photos, tmp_path, make, train):
    source = Tokenizer(make().tokenizer)
    save_tokenizer(tmp_path / "model.safetensors", source)
    found = start_tokenizer(make().tokenizer, str(tmp_path))
    for name, item in source.state_dict().items():
        assert torch.equal(found.state_dict()[name], item), name
    more = ("--start_from", str(tmp_path), "--run.steps", "1", "--optim.learning_rate", "1e-9")
    train(make(*more), photos, tmp_path / "run", quiet=True)
    trained = start_tokenizer(make().tokenizer, str(tmp_path / "run"))
    name = next(key for key in source.state_dict() if key.startswith("encoder"))
    assert torch.allclose(trained.state_dict()[name], source.state_dict()[name], atol=1e-6)


def test_further_turns_go_on_as_the_last(tmp_path):
    fixed = tiny_training(
        "--tokenizer.quantizer.threshold", "0", "--tokenizer.quantizer.dummies", "false"
    )
    source = Tokenizer(fixed.tokenizer).eval()
    with torch.no_grad():
        source.quantizer.gains.set(torch.tensor([1.0, 0.5, 0.4, 0.3]))
        source.decoder.length_cue.weight.normal_()
        source.decoder.threshold_cue[2].weight.normal_()
    save_tokenizer(tmp_path / "model.safetensors", source)
    # Without dummies, which would stand in for codes that do not help: these weights are random.
    more = ("--tokenizer.quantizer.max_depth", "6", "--tokenizer.quantizer.dummies", "false")
    longer = tiny_training(*more).tokenizer
    found = start_tokenizer(longer, str(tmp_path)).eval()
    expected = [1.0, 0.5, 0.4, 0.3, 0.225, 0.16875]
    assert found.quantizer.gains().tolist() == pytest.approx(expected, rel=1e-5)
    images = torch.rand(2, 3, 16, 24) * 2 - 1
    tokens = source.encode(images, 0.0)
    longer_tokens = found.encode(images, 0.0, depth=4)
    assert torch.equal(longer_tokens.codes[..., :4], tokens.codes)
    painted = source.decode(tokens, 0.0)
    assert torch.allclose(found.decode(longer_tokens, 0.7), painted, atol=1e-5)


def test_a_model_of_other_sizes_is_refused(tmp_path):
    save_tokenizer(tmp_path / "model.safetensors", Tokenizer(tiny_gan().networks))
    other = tiny_gan("--tokenizer.quantizer.codebook_size", "32").networks
    with pytest.raises(CheckpointError, match="does not fit"):
        start_tokenizer(other, str(tmp_path))


def test_of_more_turns_the_first_are_kept(tmp_path):
    source = Tokenizer(tiny_training().tokenizer).eval()
    with torch.no_grad():
        source.quantizer.gains.set(torch.tensor([1.0, 0.5, 0.4, 0.3]))
        source.decoder.length_cue.weight.normal_()
    save_tokenizer(tmp_path / "model.safetensors", source)
    shorter = tiny_training("--tokenizer.quantizer.max_depth", "3").tokenizer
    found = start_tokenizer(shorter, str(tmp_path)).eval()
    assert found.quantizer.gains().tolist() == pytest.approx([1.0, 0.5, 0.4], rel=1e-5)
    images = torch.rand(2, 3, 16, 24) * 2 - 1
    tokens = found.encode(images, 0.3)
    assert torch.equal(tokens.codes, source.encode(images, 0.3, depth=3).codes[..., :3])
    assert torch.equal(found.decode(tokens, 0.3), source.decode(tokens, 0.3))


def started(tmp_path, gains: list[float], before: tuple[str, ...], now: tuple[str, ...]):
    """Gains of a model that starts from one with others."""
    source = Tokenizer(tiny_training(*before).tokenizer)
    source.quantizer.gains.set(torch.tensor(gains))
    save_tokenizer(tmp_path / "model.safetensors", source)
    found = start_tokenizer(tiny_training(*now).tokenizer, str(tmp_path))
    weights = source.quantizer.codebook.weight
    assert torch.equal(found.quantizer.codebook.weight, weights)
    return pytest.approx(found.quantizer.gains().tolist(), rel=1e-4)


def test_a_loop_starts_from_plain_vq_and_back(tmp_path):
    one, ratio = (
        ("--tokenizer.quantizer.max_depth", "1"),
        ("--tokenizer.quantizer.gain_ratio", "0.5"),
    )
    assert started(tmp_path, [1.0], one, ratio) == [1.0, 0.5, 0.25, 0.125]
    assert started(tmp_path, [1.0, 0.5, 0.4, 0.3], (), one) == [1.0]


def test_gains_that_are_not_learned_are_taken_over(tmp_path):
    held, gains = ("--tokenizer.quantizer.learn_gains", "false"), [1.0, 0.5, 0.4, 0.3]
    more = ("--tokenizer.quantizer.max_depth", "5", "--tokenizer.quantizer.gain_ratio", "0.5")
    assert started(tmp_path, gains, held, ()) == gains
    assert started(tmp_path, gains, (), held) == gains
    assert started(tmp_path, gains, held, more) == [*gains, 0.15]
    assert started(tmp_path, gains, held, (*held, *more)) == [*gains, 0.225]
