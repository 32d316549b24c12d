import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from loopyvq.checkpoint import load_tokenizer, save_tokenizer
from loopyvq.errors import CheckpointError, ConfigError
from loopyvq.interop.diffusers import from_diffusers, to_diffusers
from loopyvq.models import Tokenizer
from tests.models.taming.conftest import taming_config

__all__ = ["taming_config"]

# Names as diffusers 0.35.1 writes them for three levels, attention at the last.
EXPECTED = {
    "encoder.conv_in.weight": (32, 3, 3, 3),
    "encoder.down_blocks.0.resnets.0.norm1.bias": (32,),
    "encoder.down_blocks.0.downsamplers.0.conv.weight": (32, 32, 3, 3),
    "encoder.down_blocks.1.resnets.0.conv_shortcut.weight": (64, 32, 1, 1),
    "encoder.down_blocks.2.attentions.0.group_norm.weight": (64,),
    "encoder.down_blocks.2.attentions.0.to_q.weight": (64, 64),
    "encoder.mid_block.resnets.1.conv2.bias": (64,),
    "encoder.mid_block.attentions.0.to_out.0.weight": (64, 64),
    "encoder.conv_norm_out.weight": (64,),
    "decoder.up_blocks.0.attentions.1.to_v.bias": (64,),
    "decoder.up_blocks.1.upsamplers.0.conv.weight": (64, 64, 3, 3),
    "decoder.up_blocks.2.resnets.0.conv_shortcut.weight": (32, 64, 1, 1),
    "decoder.conv_norm_out.bias": (32,),
    "quant_conv.weight": (4, 8, 1, 1),
    "post_quant_conv.bias": (8,),
    "quantize.embedding.weight": (16, 4),
}


@pytest.fixture
def folder(taming_config, tmp_path):
    torch.manual_seed(0)
    save_tokenizer(tmp_path / "ours" / "model.safetensors", Tokenizer(taming_config))
    done = to_diffusers(tmp_path / "ours", tmp_path / "theirs")
    assert [path.name for path in done.files] == [
        "config.json",
        "diffusion_pytorch_model.safetensors",
    ]
    return tmp_path / "theirs"


def weights(folder):
    """Tensors with memory of their own: those of the library lie in the file itself."""
    found = load_file(folder / "diffusion_pytorch_model.safetensors")
    return {name: tensor.clone() for name, tensor in found.items()}


def require_same(folder, ours):
    loaded, original = load_tokenizer(ours), load_tokenizer(folder.parent / "ours")
    for name, tensor in original.encoder.state_dict().items():
        assert torch.equal(loaded.encoder.state_dict()[name], tensor), name
    image = torch.rand(1, 3, 16, 24) * 2 - 1
    assert torch.equal(loaded.encode(image).codes, original.encode(image).codes)
    assert torch.equal(loaded.reconstruct(image), original.reconstruct(image))


def test_names_and_shapes_are_those_of_diffusers(folder):
    state = weights(folder)
    for name, shape in EXPECTED.items():
        assert tuple(state[name].shape) == shape, name
    assert not [name for name in state if ".down." in name or ".up." in name or ".mid." in name]


def test_there_and_back(folder, tmp_path):
    assert from_diffusers(folder, tmp_path / "again").dropped == []
    require_same(folder, tmp_path / "again")
    assert load_tokenizer(tmp_path / "again").config == load_tokenizer(tmp_path / "ours").config


def test_the_older_names_and_files_of_torch_load_as_well(folder, tmp_path):
    state = weights(folder)
    older = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    for new, old in older.items():
        state = {name.replace(f".{new}.", f".{old}."): tensor for name, tensor in state.items()}
    (folder / "diffusion_pytorch_model.safetensors").unlink()
    torch.save(state, folder / "diffusion_pytorch_model.bin")
    from_diffusers(folder, tmp_path / "again")
    require_same(folder, tmp_path / "again")


def test_the_factor_of_pipelines_is_named_as_dropped(folder, tmp_path):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "scaling_factor": 0.5}))
    assert from_diffusers(folder, tmp_path / "again").dropped == ["scaling_factor 0.5 of pipelines"]


def test_broken_folders_give_one_line(folder, tmp_path):
    path = folder / "diffusion_pytorch_model.safetensors"
    state, blob = weights(folder), path.read_bytes()
    path.write_bytes(blob[: len(blob) // 2])
    with pytest.raises(CheckpointError, match="is no safetensors file"):
        from_diffusers(folder, tmp_path / "again")
    save_file({**state, "encoder.more": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"also has encoder\.more"):
        from_diffusers(folder, tmp_path / "again")
    path.unlink()
    with pytest.raises(CheckpointError, match="there is no diffusion_pytorch_model"):
        from_diffusers(folder, tmp_path / "again")
    torch.save([3], folder / "diffusion_pytorch_model.bin")
    with pytest.raises(CheckpointError, match="lacks"):
        from_diffusers(folder, tmp_path / "again")
    (folder / "config.json").write_text("[1]")
    with pytest.raises(ConfigError, match="must hold a mapping"):
        from_diffusers(folder, tmp_path / "again")
    (folder / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot read the config"):
        from_diffusers(folder, tmp_path / "again")


def test_what_diffusers_does_not_know_is_refused(taming_config, tiny_config, tmp_path):
    for config, message in (
        (replace(taming_config, assignment="gumbel"), "Gumbel quantizer"),
        (replace(taming_config, multipliers=(2, 2), attention_levels=()), "first level wider"),
        (tiny_config, "networks of our own"),
    ):
        save_tokenizer(tmp_path / "x" / "model.safetensors", Tokenizer(config))
        with pytest.raises(CheckpointError, match=message):
            to_diffusers(tmp_path / "x", tmp_path / "theirs")


def test_parts_of_an_earlier_conversion_do_not_stay(folder, tmp_path):
    (tmp_path / "again").mkdir()
    for name in ("prior", "condition", "extras"):
        (tmp_path / "again" / f"{name}.safetensors").write_bytes(b"of another model")
    done = from_diffusers(folder, tmp_path / "again")
    assert list((tmp_path / "again").iterdir()) == done.files
