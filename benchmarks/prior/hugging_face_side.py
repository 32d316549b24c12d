"""The same transformer as a GPT-2 of Hugging Face's library, with its own generation."""

import torch
from sizes import Sizes
from torch import Tensor, nn

try:
    import transformers
except ModuleNotFoundError:
    transformers = None


def build(prior: nn.Module, sizes: Sizes) -> nn.Module | None:
    """Build a GPT-2 with the weights of ours; None where the library is missing."""
    if transformers is None or not hasattr(transformers, "GPT2LMHeadModel"):
        return None
    config = transformers.GPT2Config(
        vocab_size=sizes.vocabulary,
        n_positions=sizes.context,
        n_embd=sizes.width,
        n_layer=sizes.layers,
        n_head=sizes.heads,
        activation_function="gelu",
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=None,
        use_cache=True,
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    model.generation_config.pad_token_id = 0
    state, flat = {}, prior.prior.state_dict()
    names = {
        "norm_attention": "ln_1",
        "norm_mlp": "ln_2",
        "attention.qkv": "attn.c_attn",
        "attention.out": "attn.c_proj",
        "mlp.0": "mlp.c_fc",
        "mlp.2": "mlp.c_proj",
    }
    for layer in range(sizes.layers):
        for ours, theirs in names.items():
            for kind in ("weight", "bias"):
                tensor = flat[f"transformer.blocks.{layer}.{ours}.{kind}"]
                turned = tensor.t() if kind == "weight" and tensor.ndim == 2 else tensor
                state[f"transformer.h.{layer}.{theirs}.{kind}"] = turned
    state["transformer.wte.weight"] = flat["symbols.weight"]
    state["transformer.wpe.weight"] = flat["positions"]
    state["lm_head.weight"] = flat["head.weight"]
    for kind in ("weight", "bias"):
        state[f"transformer.ln_f.{kind}"] = flat[f"transformer.norm.{kind}"]
    lacking = model.load_state_dict(state, strict=False)
    if lacking.missing_keys or lacking.unexpected_keys:
        raise SystemExit(f"GPT-2 has other tensors: {lacking}")
    return model


@torch.inference_mode()
def generate(model: nn.Module, start: Tensor, steps: int, top_k: int | None) -> Tensor:
    """Draw with a static cache; greedily without ``top_k``."""
    options = {"do_sample": False} if top_k is None else {"do_sample": True, "top_k": top_k}
    found = model.generate(
        start,
        attention_mask=torch.ones_like(start),
        max_new_tokens=steps,
        min_new_tokens=steps,
        cache_implementation="static",
        **options,
    )
    return found[:, start.shape[1] :]
