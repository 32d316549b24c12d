"""Make golden files: only those that are missing, for a new version of the format or a new mode.

python -m tests.golden.make
"""

from pathlib import Path

import numpy as np
import torch

from loopyvq.checkpoint import save_tokenizer
from loopyvq.codec import (
    Codec,
    Target,
    compress_array,
    decompress_array,
    fit_codebook,
    save_tables,
)
from loopyvq.coding import MODES, CodedTokens, fit_tables
from loopyvq.models import Tokenizer, TokenizerConfig
from loopyvq.quantize import LoopConfig
from tests.codec.conftest import make_image

FOLDER = Path(__file__).parent
ARRAYS = {
    "v1_adaptive": ("adaptive", 0.3),
    "v1_context": ("context", 0.05),
    "v1_packed": ("packed", 0.3),
    "v1_padded": ("padded", 1.0),
    "v1_flat": ("flat", 0.3),
    "v1_dummy": ("dummy", 0.3),
    "v1_run_length": ("run_length", 0.3),
    "v1_depth_major": ("depth_major", 0.3),
    "v1_exact": ("adaptive", 0.0),
}
IMAGES = {
    **{f"v1_{mode}": {"threshold": 0.3, "mode": mode} for mode in MODES},
    "v1_exact": {"threshold": 0.0},
    "v1_no_promise": {"threshold": 0.3, "stop": "rate_distortion", "bound": False},
    "v1_quality": {"quality": 40.0},
    "v1_target": {"target": Target("num_bytes", 150.0)},
    "v1_grey": {"threshold": 0.3},
    "v1_no_tables": {"threshold": 0.3},
    "v1_coarse": {"threshold": 0.1, "stop": "in_context", "bound": False},
}
WITH_PIXELS = ("v1_context", "v1_grey", "v1_no_promise", "v1_coarse")


def main() -> None:
    for name, (mode, max_error) in ARRAYS.items():
        write_array(FOLDER / "arrays" / f"{name}.lvq", mode, max_error)
    write_reference(FOLDER / "arrays" / "by_reference")
    model = FOLDER / "images" / "model.safetensors"
    if not model.exists():
        tokenizer, samples = make_model()
        save_tokenizer(model, tokenizer)
        save_tables(model, fit_samples(tokenizer, samples))
    codec = Codec.load(model)
    for name, options in IMAGES.items():
        write_image(codec, FOLDER / "images" / f"{name}.lvq", options)


def write_array(path: Path, mode: str, max_error: float) -> None:
    if not path.exists():
        generator = np.random.default_rng(0)
        vectors = generator.normal(size=(64, 5)) * np.exp(generator.normal(size=(64, 1)))
        data = compress_array(vectors.astype(np.float32), max_error, mode=mode)
        path.write_bytes(data)
        np.save(path.with_suffix(".npy"), decompress_array(data))


def write_reference(folder: Path) -> None:
    """Write a file that refers to a codebook, and the codebook."""
    if not folder.exists():
        folder.mkdir()
        vectors = np.random.default_rng(1).normal(size=(64, 4)).astype(np.float32)
        book = fit_codebook(vectors, 16)
        np.savez(folder / "codebook.npz", codes=book.codes, gains=book.gains, sigma=book.sigma)
        data = compress_array(vectors, 0.2, codebook=book, store_codebook=False)
        (folder / "v1.lvq").write_bytes(data)
        np.save(folder / "v1.npy", decompress_array(data, book))


def write_image(codec: Codec, path: Path, options: dict[str, object]) -> None:
    if path.exists():
        return
    size = (9, 300) if "coarse" in path.stem else (45, 52)  # wide: several levels of cells
    image = make_image(*size, 1 if "grey" in path.stem else 3)
    writer = Codec(codec.tokenizer) if "no_tables" in path.stem else codec
    data = writer.compress(image, **options)
    sites = codec.decode_sites(data)
    painted = {"pixels": codec.decompress(data).numpy()} if path.stem in WITH_PIXELS else {}
    path.write_bytes(data)
    np.savez_compressed(
        path.with_suffix(".npz"),
        codes=sites.tokens.codes.numpy().astype(np.int16),
        lengths=sites.tokens.lengths.numpy().astype(np.int16),
        z_q=sites.z_q,
        **painted,
    )


def make_model() -> tuple[Tokenizer, list[CodedTokens]]:
    """Draw networks and fit the codes to what they make of an image."""
    loop = LoopConfig(codebook_size=12, codebook_dim=3, max_depth=3, start_iterations=2)
    config = TokenizerConfig(channels=(4, 4), encoder_blocks=1, decoder_blocks=1, quantizer=loop)
    torch.manual_seed(0)
    tokenizer = Tokenizer(config)
    with torch.no_grad():
        for name, parameter in tokenizer.named_parameters():
            if "conv_out" in name or "cue" in name:
                parameter.normal_(0, 0.1)
        image = make_image(96, 96, seed=5).float().unsqueeze(0) / 127.5 - 1
        latents = tokenizer.latents(image).reshape(-1, loop.codebook_dim)
        tokenizer.quantizer.start_from(latents, torch.Generator().manual_seed(0))
    tokenizer.eval()
    samples = [tokenizer.encode(image, threshold) for threshold in (0.6, 0.3, 0.1)]
    return tokenizer, [
        CodedTokens(item.codes[0].numpy(), item.lengths[0].numpy()) for item in samples
    ]


def fit_samples(tokenizer: Tokenizer, samples: list[CodedTokens]):
    codes = tokenizer.quantizer.codebook.weight.double().numpy()
    gains = tokenizer.quantizer.gains().detach().double().numpy()
    return fit_tables(samples, codes, gains, examples_per_turn=500, epochs=3)


if __name__ == "__main__":
    main()
