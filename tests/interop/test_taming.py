import pickle
import re
import zipfile

import numpy as np
import pytest
import torch
import yaml

from loopyvq.checkpoint import load_prior, load_tokenizer, save_tokenizer
from loopyvq.errors import CheckpointError, ConfigError
from loopyvq.interop.taming import from_taming, refuse_run_folder, to_taming
from loopyvq.interop.torch_file import TorchFile
from loopyvq.models import Tokenizer
from tests.interop.conftest import (
    gpt_shapes,
    random_state,
    second_stage_section,
    tokenizer_section,
    tokenizer_shapes,
)

NAMES = ("vqgan", "gumbel", "coord_transformer", "uncond_transformer")


@pytest.fixture
def plain(write):
    state = random_state(tokenizer_shapes())
    state["loss.discriminator.main.0.bias"] = torch.ones(4)
    return write(tokenizer_section(), state)


def test_there_and_back(plain, tmp_path):
    checkpoint, config, state = plain
    done = from_taming(checkpoint, config, tmp_path / "ours")
    assert [path.name for path in done.files] == ["model.safetensors", "extras.safetensors"]
    assert done.dropped == ["optimizer_states", "callbacks"]
    back = to_taming(tmp_path / "ours", tmp_path / "back")
    loaded = torch.load(back.files[0], weights_only=True)
    assert (loaded["epoch"], loaded["global_step"]) == (3, 77)
    assert loaded["state_dict"].keys() == state.keys()
    assert all(torch.equal(loaded["state_dict"][name], state[name]) for name in state)
    section = yaml.safe_load(back.files[1].read_text())["model"]
    assert section["target"] == "taming.models.vqgan.VQModel"
    assert "ckpt_path" not in section["params"]
    again = from_taming(*back.files, tmp_path / "again")
    assert again.files[0].read_bytes() == done.files[0].read_bytes()


def test_a_second_stage_there_and_back(write, tmp_path):
    state = {f"first_stage_model.{n}": t for n, t in random_state(tokenizer_shapes()).items()}
    state |= random_state(gpt_shapes())
    checkpoint, config, _ = write(second_stage_section("__is_unconditional__"), state)
    done = from_taming(checkpoint, config, tmp_path / "ours")
    assert [path.name for path in done.files] == ["model.safetensors", "prior.safetensors"]
    tokenizer, prior = load_tokenizer(tmp_path / "ours"), load_prior(tmp_path / "ours")
    symbols = prior.symbols(tokenizer.encode(torch.rand(2, 3, 16, 16) * 2 - 1))
    assert prior.logits(prior.start(2), symbols).shape == (2, 64, 16)
    to_taming(tmp_path / "ours", tmp_path / "back")
    file = TorchFile(tmp_path / "back" / "last.ckpt")
    back = file.tensors(file.values["state_dict"])
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_a_later_conversion_leaves_nothing_of_an_earlier_one(plain, write, tmp_path):
    from_taming(plain[0], plain[1], tmp_path / "ours")
    other = write(tokenizer_section(), random_state(tokenizer_shapes(), 5), "other")
    from_taming(other[0], other[1], tmp_path / "ours")
    assert [path.name for path in (tmp_path / "ours").iterdir()] == ["model.safetensors"]


def test_weights_without_a_lightning_file_around_them(plain, tmp_path):
    _, config, state = plain
    torch.save(state, tmp_path / "bare.ckpt")
    assert from_taming(tmp_path / "bare.ckpt", config, tmp_path / "ours").dropped == []


def test_a_tokenizer_that_never_was_taming_s_gets_a_config_of_its_own(plain, tmp_path):
    from_taming(plain[0], plain[1], tmp_path / "ours")
    tokenizer = load_tokenizer(tmp_path / "ours")
    save_tokenizer(tmp_path / "trained" / "best.safetensors", tokenizer)
    for model in (tmp_path / "trained", tmp_path / "trained" / "best.safetensors"):
        back = to_taming(model, tmp_path / "back")
        from_taming(*back.files, tmp_path / "again")
        again = load_tokenizer(tmp_path / "again")
        assert again.config == tokenizer.config


def test_broken_files_give_one_line_and_write_nothing(plain, tmp_path):
    checkpoint, config, state = plain
    blob = checkpoint.read_bytes()
    cases = []
    (tmp_path / "half.ckpt").write_bytes(blob[: len(blob) // 2])
    cases.append(("half.ckpt", "is truncated"))
    torch.save(
        {"state_dict": {**state, "quant_conv.bias": torch.zeros(9)}}, tmp_path / "wrong.ckpt"
    )
    cases.append(("wrong.ckpt", r"quant_conv.bias is \(9,\), expected \(8,\)"))
    with zipfile.ZipFile(tmp_path / "evil.ckpt", "w") as archive:
        archive.writestr("evil/data.pkl", b"cposix\nsystem\n(S'touch hacked'\ntR.")
    cases.append(("evil.ckpt", r"is refused: it asks for posix.system"))
    (tmp_path / "bare.ckpt").write_bytes(pickle.dumps(print))
    cases.append(("bare.ckpt", "no zip file"))
    torch.save({"state_dict": {"a": 3}}, tmp_path / "numbers.ckpt")
    cases.append(("numbers.ckpt", "holds no weights"))
    torch.save([1, 2], tmp_path / "list.ckpt")
    cases.append(("list.ckpt", "holds no weights"))
    for name, message in cases:
        with pytest.raises(CheckpointError, match=message) as caught:
            from_taming(tmp_path / name, config, tmp_path / "ours")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "ours").exists()


def test_a_run_is_not_hidden_behind_a_model(plain, tmp_path):
    (tmp_path / "last.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match="holds a run already"):
        from_taming(plain[0], plain[1], tmp_path)
    refuse_run_folder(tmp_path / "elsewhere")


def test_our_own_networks_do_not_go_back(tmp_path, tiny_config):
    save_tokenizer(tmp_path / "model.safetensors", Tokenizer(tiny_config))
    with pytest.raises(CheckpointError, match="networks of our own"):
        to_taming(tmp_path, tmp_path / "back")


@pytest.fixture
def converted(reference, tmp_path, request):
    from_taming(
        reference / f"{request.param}.ckpt", reference / f"{request.param}.yaml", tmp_path / "ours"
    )
    arrays = np.load(reference / "io.npz")
    return tmp_path / "ours", {name: torch.from_numpy(arrays[name]) for name in arrays.files}


@pytest.mark.parametrize("converted", ["vqgan"], indirect=True)
@torch.no_grad()
def test_the_reference_tokenizer(converted):
    folder, expected = converted
    tokenizer = load_tokenizer(folder)
    for suffix in ("", "_rect"):
        found = tokenizer(expected[f"images{suffix}"])
        assert torch.equal(found.quantized.codes.flatten(1), expected[f"vq_codes{suffix}"])
        assert torch.allclose(found.image, expected[f"vq_recon{suffix}"], atol=1e-4, rtol=0)
        tokens = tokenizer.encode(expected[f"images{suffix}"])
        assert torch.equal(tokenizer.decode(tokens), found.image.clamp(-1, 1))
    latents = tokenizer.latents(expected["images"]).permute(0, 3, 1, 2)
    assert torch.allclose(latents, expected["vq_prequant"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("converted", ["gumbel"], indirect=True)
@torch.no_grad()
def test_the_reference_gumbel_tokenizer(converted):
    folder, expected = converted
    tokenizer = load_tokenizer(folder)
    tokens = tokenizer.encode(expected["images"])
    assert torch.equal(tokens.codes.flatten(1), expected["gumbel_codes_argmax"])
    z_q = tokenizer.quantizer.decode(tokens).permute(0, 3, 1, 2)
    image = tokenizer.decoder(z_q)
    assert torch.allclose(image, expected["gumbel_recon_from_codes"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("converted", ["coord_transformer", "uncond_transformer"], indirect=True)
@torch.no_grad()
def test_the_reference_transformers(converted, request):
    folder, expected = converted
    name = request.node.callspec.params["converted"]
    tokenizer, prior = load_tokenizer(folder), load_prior(folder)
    symbols = prior.symbols(tokenizer.encode(expected["images"]))
    assert torch.equal(symbols, expected[f"{name}_target"])
    is_coord = prior.config.condition == "coordinates"
    condition = prior.places(expected["coord"]) if is_coord else prior.start(2)
    logits = prior.logits(condition, symbols)
    assert torch.allclose(logits, expected[f"{name}_logits"], atol=1e-3, rtol=0)
    half = symbols[:, :128]
    assert torch.equal(prior.extend(condition, half, 8), expected[f"{name}_greedy"])


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_files_come_back_key_by_key(reference, tmp_path, name):
    checkpoint = reference / f"{name}.ckpt"
    from_taming(checkpoint, reference / f"{name}.yaml", tmp_path / "ours")
    to_taming(tmp_path / "ours", tmp_path / "back")
    file = TorchFile(checkpoint)
    expected = file.tensors(file.values["state_dict"])
    back = torch.load(tmp_path / "back" / "last.ckpt", weights_only=True)["state_dict"]
    left = {key for key in expected if re.match(r"loss\.perceptual_loss\.", key)}
    assert back.keys() == expected.keys() - left
    for key, tensor in back.items():
        assert tensor.dtype == expected[key].dtype, key
        assert torch.equal(tensor, expected[key]), key
