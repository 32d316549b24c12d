import pytest
import torch
import yaml

from loopyvq.data import to_pil
from loopyvq.models import TamingConfig, Tokenizer
from loopyvq.models.taming import plain_quantizer


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint of taming and its YAML file."""
    from loopyvq.interop.taming_config import model_section
    from loopyvq.interop.taming_state import tokenizer_to_state

    torch.manual_seed(0)
    config = TamingConfig(
        resolution=16,
        base_channels=32,
        multipliers=(1, 1),
        blocks=1,
        attention_levels=(),
        latent_channels=8,
        quantizer=plain_quantizer(16, 8),
    )
    state = tokenizer_to_state(Tokenizer(config), "x")
    state["loss.perceptual_loss.lin0.model.1.weight"] = torch.zeros(1)
    torch.save({"state_dict": state, "global_step": 7}, tmp_path / "last.ckpt")
    (tmp_path / "model.yaml").write_text(yaml.safe_dump({"model": model_section(config)}))
    return tmp_path


def test_a_converted_model_serves_the_other_commands(run, checkpoint):
    words = ("convert", "taming", checkpoint / "last.ckpt", "--config", checkpoint / "model.yaml")
    code, out, err = run(*words, "--out", checkpoint / "ours")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        str(checkpoint / "ours" / "model.safetensors"),
        "dropped: LPIPS network: 1 tensors",
    ]
    code, out, _ = run("info", checkpoint / "ours")
    assert code == 0
    assert "networks: taming, channels [32, 32]" in out
    assert "mean length" not in out  # nothing is known about it
    image = torch.randint(0, 256, (3, 10, 13), dtype=torch.uint8)
    to_pil(image).save(checkpoint / "image.png")
    code, out, _ = run("encode", checkpoint / "ours", checkpoint / "image.png", "--out", checkpoint)
    assert code == 0
    assert "35 tokens, 1.00 per site" in out
    tokens = checkpoint / "image.png.tokens"
    code, out, _ = run("decode", checkpoint / "ours", tokens, "--out", checkpoint / "back")
    assert code == 0
    assert (checkpoint / "back" / "image.png").is_file()


def test_every_direction(run, checkpoint):
    words = ("convert", "taming", checkpoint / "last.ckpt", "--config", checkpoint / "model.yaml")
    assert run(*words, "--out", checkpoint / "ours")[0] == 0
    for program in ("taming", "diffusers"):
        back = checkpoint / f"{program}-back"
        code, out, _ = run("convert", program, checkpoint / "ours", "--reverse", "--out", back)
        assert code == 0
        assert len(out.splitlines()) == 2
    code, _, _ = run(
        "convert", "diffusers", checkpoint / "diffusers-back", "--out", checkpoint / "x"
    )
    assert code == 0
    assert (checkpoint / "x" / "model.safetensors").is_file()


@pytest.mark.parametrize("program", ["taming", "diffusers"])
def test_the_model_in_the_box_is_found_and_refused_for_what_it_is(run, tmp_path, program):
    code, _, err = run("convert", program, "photo-f8", "--reverse", "--out", tmp_path / "x")
    assert code == 2
    assert "has networks of our own, which taming does not know" in err


def test_label_maps_are_for_python(run, tmp_path):
    from loopyvq.checkpoint import save_tokenizer

    config = TamingConfig(
        image_channels=5,
        label_maps=True,
        base_channels=32,
        multipliers=(1,),
        attention_levels=(),
        quantizer=plain_quantizer(16, 8),
    )
    save_tokenizer(tmp_path / "model.safetensors", Tokenizer(config))
    code, _, err = run("encode", tmp_path, "samples")
    assert code == 2
    assert "takes label maps or others of 5 channels, not images" in err
    assert "label maps: 5 channels" in run("info", tmp_path)[1]
