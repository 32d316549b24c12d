"""Bits per site of the same tokens in every coding mode, and how fast the coder is.

    python benchmarks/coding.py MODEL IMAGES --fit MORE_IMAGES

MORE_IMAGES are what the tables of ``static`` and ``context`` are fitted to (a checkpoint's would
be its training images); IMAGES are coded, at several thresholds and with either stop rule.
"""

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch

from loopyvq import Tokenizer, load_tokenizer, spell
from loopyvq.coding import (
    Chunk,
    CodedTokens,
    Header,
    Tables,
    decode_tokens,
    encode_tokens,
    fit_tables,
    ideal_bits,
    pack_symbols,
    write_container,
)
from loopyvq.coding.frequencies import frequencies_of_weights
from loopyvq.coding.range_coder import RangeDecoder, RangeEncoder
from loopyvq.data import open_image_set, to_float
from loopyvq.spelling import SPELLINGS, vocabulary_size
from loopyvq.tokens import Tokens

LENGTHS = (0.5, 1.0, 2.0, 3.0, 4.5)
SPEED_MODES = (("static", True), ("adaptive", False), ("context", False), ("context", True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("images", nargs="+")
    parser.add_argument("--fit", required=True)
    parser.add_argument("--fit-images", type=int, default=400)
    arguments = parser.parse_args()
    tokenizer = load_tokenizer(arguments.model)
    tables = fit(tokenizer, arguments.fit, arguments.fit_images)
    mean_lengths = torch.tensor(LENGTHS)
    thresholds = tokenizer.quantizer.length_curve.threshold_for(mean_lengths).tolist()
    examples = []
    for stop in ("rate_distortion", "threshold"):
        print(f"\nbits per site, stop rule {stop}:\n")
        columns = ["threshold", "tokens", *sizes_by_mode(no_tokens(tokenizer), tokenizer, tables)]
        print(f"| {' | '.join(columns)} |\n|{'---:|' * len(columns)}")
        for threshold in thresholds:
            rows = []
            for latents in latents_of(tokenizer, arguments.images, None):
                tokenizer.quantizer.stop = stop
                tokens = tokenizer.quantizer.encode(latents, threshold)
                sizes = sizes_by_mode(tokens, tokenizer, tables)
                num_sites = tokens.lengths.numel()
                rows.append(
                    [tokens.num_tokens / num_sites, *np.array([*sizes.values()]) / num_sites]
                )
                examples.append(tokens)
            means = [threshold, *np.mean(rows, axis=0).tolist()]
            print(f"| {' | '.join(f'{mean:.3f}' for mean in means)} |")
    print_speeds(examples, tokenizer, tables)


def latents_of(tokenizer: Tokenizer, paths: list[str], count: int | None) -> Iterator[torch.Tensor]:
    for path in paths:
        images = open_image_set(path, channels=tokenizer.config.image_channels)
        order = np.random.default_rng(0).permutation(len(images))[:count]
        for index in sorted(order.tolist()):
            with torch.no_grad():
                yield tokenizer.latents(to_float(images.read(index)).unsqueeze(0))


def fit(tokenizer: Tokenizer, path: str, count: int) -> Tables:
    """Fit tables to tokens at thresholds and stop rules drawn per image."""
    quantizer, generator, samples = tokenizer.quantizer, np.random.default_rng(0), []
    for latents in latents_of(tokenizer, [path], count):
        for _ in range(3):
            threshold = float(np.exp(generator.uniform(np.log(0.05), np.log(1.3))))
            quantizer.stop = ("rate_distortion", "threshold")[generator.integers(2)]
            samples.append(as_arrays(quantizer.encode(latents, threshold)))
    started_s = time.perf_counter()
    codebook = quantizer.codebook.weight.detach().double().numpy()
    gains = quantizer.gains().detach().double().numpy()
    tables = fit_tables(samples, codebook, gains)
    elapsed_s = time.perf_counter() - started_s
    print(f"tables: {tables.num_bytes:,} bytes from {len(samples):,} grids in {elapsed_s:.0f} s")
    return tables


def as_arrays(tokens: Tokens) -> CodedTokens:
    return CodedTokens(tokens.codes[0].numpy(), tokens.lengths[0].numpy())


def no_tokens(tokenizer: Tokenizer) -> Tokens:
    shape = (1, 1, 1, tokenizer.quantizer.max_depth)
    return Tokens(torch.full(shape, -1), torch.zeros(shape[:-1], dtype=torch.int64))


def sizes_by_mode(tokens: Tokens, tokenizer: Tokenizer, tables: Tables) -> dict[str, float]:
    """Give bits per mode; of the last also the model's ideal and the whole file."""
    size, depth = tokenizer.quantizer.codebook_size, tokenizer.quantizer.max_depth
    arrays = as_arrays(tokens)

    def bits(mode: str, some: Tables | None) -> int:
        return 8 * sum(map(len, encode_tokens(*arrays, size, mode, some)))

    sizes: dict[str, float] = {"padded": bits("padded", None)}
    for spelling in SPELLINGS:
        symbols = spell(tokens, spelling, size).numpy()
        sizes[spelling] = 8 * len(pack_symbols(symbols, vocabulary_size(spelling, size, depth)))
    sizes["packed"] = bits("packed", None)
    sizes["static"] = bits("static", tables)
    sizes["adaptive"] = bits("adaptive", None)
    sizes["context, learning"] = bits("context", None)
    pieces = encode_tokens(*arrays, size, "context", tables)
    sizes["context"] = 8 * sum(map(len, pieces))
    sizes["its ideal"] = ideal_bits(*arrays, size, "context", tables)
    header = Header("context", "0" * 12, 512, 768, 3, depth, 1.0, 0)
    sizes["its file"] = 8 * len(write_container(header, [Chunk("tokens", p) for p in pieces]))
    return sizes


def print_speeds(examples: list[Tokens], tokenizer: Tokenizer, tables: Tables) -> None:
    """Time the range coder alone, on as many symbols as fit, and the modes on the images."""
    print("\n| million symbols a second | encode | decode |\n|---|---:|---:|")
    generator = np.random.default_rng(0)
    weights = generator.integers(1, 1000, tokenizer.quantizer.codebook_size + 2)
    frequencies = frequencies_of_weights(weights)
    symbols = generator.choice(len(weights), 2_000_000, p=weights / weights.sum())
    data = b""

    def write() -> None:
        nonlocal data
        encoder = RangeEncoder()
        encoder.encode(symbols, frequencies)
        data = encoder.finish()

    def read() -> None:
        decoder = RangeDecoder(data)
        decoder.decode(frequencies, len(symbols))
        decoder.finish()

    speeds = [len(symbols) / elapsed_s(work) / 1e6 for work in (write, read)]
    print(f"| range coder, one table | {speeds[0]:.1f} | {speeds[1]:.1f} |")
    size, depth = tokenizer.quantizer.codebook_size, tokenizer.quantizer.max_depth
    arrays = [as_arrays(tokens) for tokens in examples]
    # Every site that is still going is a symbol: a code, a dummy or a stop.
    count = sum(int(np.minimum(tokens.lengths + 1, depth).sum()) for tokens in arrays)
    for mode, fitted in SPEED_MODES:
        some = tables if fitted else None
        coded: list[list[bytes]] = []
        encode_s = elapsed_s(
            lambda mode=mode, some=some, coded=coded: coded.extend(
                encode_tokens(*tokens, size, mode, some) for tokens in arrays
            )
        )
        decode_s = elapsed_s(
            lambda mode=mode, some=some, coded=coded: [
                decode_tokens(pieces, tokens.lengths.shape, depth, size, mode, some)
                for pieces, tokens in zip(coded, arrays, strict=True)
            ]
        )
        name = mode + (", fitted" if fitted else ", learning")
        print(f"| {name} | {count / encode_s / 1e6:.2f} | {count / decode_s / 1e6:.2f} |")


def elapsed_s(work: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s


if __name__ == "__main__":
    main()
