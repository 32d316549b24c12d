"""Small checkpoints in taming's own layout, made without its code and without ours."""

import sys
import types
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "taming_reference"
KEYS = Path(__file__).resolve().parents[3] / "shared" / "taming_keys"

Written = tuple[Path, Path, dict[str, Tensor]]


@pytest.fixture
def reference() -> Path:
    """Files of taming-transformers' own code with its outputs."""
    if not REFERENCE.is_dir():
        pytest.skip(f"needs the reference files in {REFERENCE}")
    return REFERENCE


@pytest.fixture
def lightning_callback() -> Iterator[type]:
    """A class that pickles as Lightning's does, though Lightning is not there."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    parts = [name.rsplit(".", count)[0] for count in (2, 1)] + [name]
    callback = type("ModelCheckpoint", (), {"__module__": name})
    modules = {part: types.ModuleType(part) for part in parts}
    modules[name].ModelCheckpoint = callback
    sys.modules.update(modules)
    yield callback
    for part in parts:
        del sys.modules[part]


def tokenizer_shapes(
    channels: int = 3, gumbel: bool = False, codes: int = 16, width: int = 8
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of two levels (32, 64), one block each, attention at the second."""
    shapes: dict[str, tuple[int, ...]] = {}

    def add(name: str, *weight: int, bias: bool = True) -> None:
        shapes[f"{name}.weight"] = weight
        if bias:
            shapes[f"{name}.bias"] = weight[:1]

    def block(name: str, before: int, after: int) -> None:
        add(f"{name}.norm1", before)
        add(f"{name}.conv1", after, before, 3, 3)
        add(f"{name}.norm2", after)
        add(f"{name}.conv2", after, after, 3, 3)
        if before != after:
            add(f"{name}.nin_shortcut", after, before, 1, 1)

    def attention(name: str, wide: int) -> None:
        add(f"{name}.norm", wide)
        for part in ("q", "k", "v", "proj_out"):
            add(f"{name}.{part}", wide, wide, 1, 1)

    for side in ("encoder", "decoder"):
        block(f"{side}.mid.block_1", 64, 64)
        attention(f"{side}.mid.attn_1", 64)
        block(f"{side}.mid.block_2", 64, 64)
    add("encoder.conv_in", 32, channels, 3, 3)
    block("encoder.down.0.block.0", 32, 32)
    add("encoder.down.0.downsample.conv", 32, 32, 3, 3)
    block("encoder.down.1.block.0", 32, 64)
    attention("encoder.down.1.attn.0", 64)
    add("encoder.norm_out", 64)
    add("encoder.conv_out", 8, 64, 3, 3)
    add("quant_conv", width, 8, 1, 1)
    add("post_quant_conv", 8, width, 1, 1)
    add("decoder.conv_in", 64, 8, 3, 3)
    for index, before in ((0, 64), (1, 64)):
        block(f"decoder.up.1.block.{index}", before, 64)
        attention(f"decoder.up.1.attn.{index}", 64)
    add("decoder.up.1.upsample.conv", 64, 64, 3, 3)
    block("decoder.up.0.block.0", 64, 32)
    block("decoder.up.0.block.1", 32, 32)
    add("decoder.norm_out", 32)
    add("decoder.conv_out", channels, 32, 3, 3)
    if gumbel:
        add("quantize.proj", codes, width, 1, 1)
        add("quantize.embed", codes, width, bias=False)
    else:
        add("quantize.embedding", codes, width, bias=False)
    return shapes


def tokenizer_section(kind: str = "VQModel", channels: int = 3, **more: Any) -> dict[str, Any]:
    """The ``model`` section for `tokenizer_shapes`."""
    sizes = {
        "double_z": False,
        "z_channels": 8,
        "resolution": 16,
        "in_channels": channels,
        "out_ch": channels,
        "ch": 32,
        "ch_mult": [1, 2],
        "num_res_blocks": 1,
        "attn_resolutions": [8],
        "dropout": 0.0,
    }
    params = {"embed_dim": 8, "n_embed": 16, "ddconfig": sizes, "ckpt_path": "/home/a/b.ckpt"}
    return {"target": f"taming.models.vqgan.{kind}", "params": params | more}


def gpt_shapes(vocabulary: int = 16, block: int = 70) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a transformer of one block of width 8, masks included."""
    names: dict[str, tuple[int, ...]] = {
        "pos_emb": (1, block, 8),
        "tok_emb.weight": (vocabulary, 8),
        "head.weight": (vocabulary, 8),
        "blocks.0.attn.mask": (1, 1, block, block),
        "blocks.0.mlp.0.weight": (32, 8),
        "blocks.0.mlp.0.bias": (32,),
        "blocks.0.mlp.2.weight": (8, 32),
        "blocks.0.mlp.2.bias": (8,),
    }
    for norm in ("blocks.0.ln1", "blocks.0.ln2", "ln_f"):
        names |= {f"{norm}.weight": (8,), f"{norm}.bias": (8,)}
    for part in ("key", "query", "value", "proj"):
        names |= {f"blocks.0.attn.{part}.weight": (8, 8), f"blocks.0.attn.{part}.bias": (8,)}
    return {f"transformer.{name}": shape for name, shape in names.items()}


def second_stage_section(condition: Any, **more: Any) -> dict[str, Any]:
    """The ``model`` section of a second stage over `tokenizer_section`."""
    sizes = {"vocab_size": 16, "block_size": 70, "n_layer": 1, "n_head": 2, "n_embd": 8}
    params = {
        "first_stage_config": tokenizer_section(),
        "cond_stage_config": condition,
        "transformer_config": {
            "target": "taming.modules.transformer.mingpt.GPT",
            "params": sizes,
        },
    }
    return {
        "target": "taming.models.cond_transformer.Net2NetTransformer",
        "params": params | more,
    }


def random_state(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    state = {name: torch.randn(shape, generator=generator) * 0.2 for name, shape in shapes.items()}
    for name in state:
        if name.endswith("attn.mask"):
            state[name] = torch.ones_like(state[name]).tril()
    return state


@pytest.fixture
def write(tmp_path, lightning_callback) -> Callable[..., Written]:
    """Write a Lightning file with its YAML file; give both and the tensors."""

    def call(section: dict[str, Any], state: dict[str, Tensor], name: str = "last") -> Written:
        values = {
            "epoch": 3,
            "global_step": 77,
            "pytorch-lightning_version": "1.0.8",
            "state_dict": OrderedDict(state),
            "optimizer_states": [{"state": {0: {"step": 5, "exp_avg": torch.ones(3)}}}],
            "lr_schedulers": [],
            "callbacks": {lightning_callback: {"best_model_score": torch.tensor(0.5)}},
        }
        checkpoint, config = tmp_path / f"{name}.ckpt", tmp_path / f"{name}.yaml"
        torch.save(values, checkpoint)
        config.write_text(yaml.safe_dump({"model": section}))
        return checkpoint, config, state

    return call
