"""Variable length against fixed depth on a source whose limit is known, without any network.

    python benchmarks/race/synthetic.py [--spread 1.0] [--out FOLDER]

The source is a Gaussian of 8 dimensions times a random scale, the logarithm of which is normal:
energies differ from vector to vector, as they do from place to place in photographs. The bound is
the rate-distortion function of a decoder that knows every scale (reverse water-filling), which no
coder can pass. Bits are those of real bytes, entropy-coded with fitted tables; vectors have no
neighbours. Prints the signal-to-noise ratio at one bit per dimension and draws the curves.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from loopyvq.codec.weighing import weighed_tokens
from loopyvq.coding import CodedTokens, Tables, encode_tokens, fit_tables
from loopyvq.quantize import LoopConfig, LoopQuantizer
from loopyvq.tokens import Tokens

WIDTH = 8
ROWS = 128
# Number of codes and turns. What a fixed depth spends is set by these alone; all are tried.
FIXED = ((16, 6), (64, 4), (256, 4), (1024, 4))
LOOPS = ((64, 16), (256, 12), (512, 12))
THRESHOLDS = (0.6, 0.45, 0.35, 0.27, 0.2)
# Of a bit, as a share of the squared threshold, or of the mean squared error at a fixed depth.
LOOP_PRICE = 0.1
FIXED_PRICES = (0.02, 0.1, 0.3)
# The others lie below or on these.
DRAWN = (
    "Shannon's bound",
    *(f"loop, 256 codes, {rule} stop" for rule in ("in_context", "rate_distortion", "threshold")),
    "fixed depth, 1024 codes, price 0.3",
    "fixed depth, 256 codes, price 0.1",
    "fixed depth, 256 codes",
)
Curve = list[tuple[float, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spread", type=float, default=1.0, help="of the scale's logarithm")
    parser.add_argument("--out", type=Path, default=Path("runs/synthetic"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    learning, _ = draw(160 * ROWS, arguments.spread, seed=1)
    vectors, scales = draw(128 * ROWS, arguments.spread, seed=2)
    curves: dict[str, Curve] = {"Shannon's bound": bound(scales)}
    for size, depth in FIXED:
        for name, curve in fixed_curves(size, depth, learning, vectors).items():
            curves[name] = curve
            show(name, curve)
    for size, depth in LOOPS:
        for name, curve in loop_curves(size, depth, learning, vectors).items():
            curves[name] = curve
            show(name, curve)
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(table(curves))
    plot(curves, arguments.out / "synthetic.png")


def draw(count: int, spread: float, seed: int) -> tuple[torch.Tensor, np.ndarray]:
    """Draw vectors and their scales."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(count, WIDTH, generator=generator)
    scales = torch.exp(spread * torch.randn(count, 1, generator=generator))
    return directions * scales, scales.squeeze(1).double().numpy()


def bound(scales: np.ndarray) -> Curve:
    """Fill the scales with water: below the surface an error costs nothing, above all is equal."""
    variances, curve = scales**2, []
    for surface in np.geomspace(variances.max(), variances.min() / 4, 400):
        bits = 0.5 * np.maximum(0, np.log2(variances / surface)).mean()
        curve.append(
            (float(bits), decibel(variances.mean() / np.minimum(surface, variances).mean()))
        )
    return curve


def fixed_curves(
    size: int, depth: int, learning: torch.Tensor, vectors: torch.Tensor
) -> dict[str, Curve]:
    """Residual vector quantization of equal length, plain and with codes chosen by their price."""
    config = LoopConfig(
        codebook_size=size, codebook_dim=WIDTH, max_depth=depth, dummies=False, threshold=0.0
    )
    quantizer = LoopQuantizer.fit(learning, config)
    tables = tables_of(quantizer, [quantizer.encode(on_grid(learning), 0.0)])
    name = f"fixed depth, {size} codes"
    curves: dict[str, Curve] = {name: []}
    for turns in range(1, depth + 1):
        start = quantizer.encode(on_grid(vectors), 0.0, turns)
        curves[name].append(point(quantizer, start, vectors, tables))
        error = (on_grid(vectors) - quantizer.decode(start)) / quantizer.sigma
        for share in FIXED_PRICES:
            price = share * float(error.square().sum(dim=-1).mean())
            found = weighed_tokens(
                quantizer, on_grid(vectors), tables, start, price, may_stop=False
            )
            priced = curves.setdefault(f"{name}, price {share:g}", [])
            priced.append(point(quantizer, found, vectors, tables))
    return curves


def loop_curves(
    size: int, depth: int, learning: torch.Tensor, vectors: torch.Tensor
) -> dict[str, Curve]:
    """The loop: certified stop, rate-distortion stop, codes and stops by their price."""
    config = LoopConfig(codebook_size=size, codebook_dim=WIDTH, max_depth=depth)
    quantizer = LoopQuantizer.fit(learning, config)

    def tokens(of: torch.Tensor, threshold: float, stop: str) -> Tokens:
        quantizer.stop = stop
        return quantizer.encode(on_grid(of), threshold)

    rules = ("threshold", "rate_distortion")
    samples = [tokens(learning, limit, rule) for limit in THRESHOLDS for rule in rules]
    tables = tables_of(quantizer, samples)
    name = f"loop, {size} codes"
    curves: dict[str, Curve] = {f"{name}, {rule} stop": [] for rule in (*rules, "in_context")}
    for limit in THRESHOLDS:
        for rule in rules:
            found = tokens(vectors, limit, rule)
            curves[f"{name}, {rule} stop"].append(point(quantizer, found, vectors, tables))
        start, price = tokens(vectors, limit, "rate_distortion"), LOOP_PRICE * limit**2
        found = weighed_tokens(quantizer, on_grid(vectors), tables, start, price)
        curves[f"{name}, in_context stop"].append(point(quantizer, found, vectors, tables))
    return curves


def on_grid(vectors: torch.Tensor) -> torch.Tensor:
    """Lay vectors out as the sites of an image; their neighbours tell nothing."""
    return vectors.reshape(ROWS, -1, WIDTH)


def tables_of(quantizer: LoopQuantizer, samples: Sequence[Tokens]) -> Tables:
    arrays = [CodedTokens(codes.numpy(), lengths.numpy()) for codes, lengths in samples]
    codes = quantizer.codebook.weight.double().numpy()
    gains = quantizer.gains().detach().double().numpy()
    return fit_tables(arrays, codes, gains, examples_per_turn=100_000, epochs=3)


def point(
    quantizer: LoopQuantizer, tokens: Tokens, vectors: torch.Tensor, tables: Tables
) -> tuple[float, float]:
    """Give bits per dimension, of real bytes, and the signal-to-noise ratio in dB."""
    size = quantizer.codebook_size
    pieces = encode_tokens(tokens.codes.numpy(), tokens.lengths.numpy(), size, "context", tables)
    decoded = quantizer.decode(tokens).reshape(vectors.shape)
    noise = float((vectors - decoded).double().square().sum())
    ratio = float(vectors.double().square().sum()) / noise
    return 8 * sum(map(len, pieces)) / vectors.numel(), decibel(ratio)


def at_one_bit(curve: Curve) -> float | None:
    """Read a curve at one bit per dimension."""
    rates, ratios = zip(*sorted(curve), strict=True)
    if not rates[0] <= 1 <= rates[-1]:
        return None
    return float(np.interp(1.0, rates, ratios))


def table(curves: dict[str, Curve]) -> str:
    """Compare all curves that reach one bit per dimension with the bound."""
    limit = at_one_bit(curves["Shannon's bound"]) or 0.0
    lines = ["| scheme | dB at 1 bit/dimension | behind the bound |", "|---|---:|---:|"]
    for name, curve in curves.items():
        ratio = at_one_bit(curve)
        if ratio is not None:
            lines.append(f"| {name} | {ratio:.2f} | {limit - ratio:.2f} |")
    return "\n".join(lines)


def show(name: str, curve: Curve) -> None:
    print(name, " ".join(f"{bits:.3f}:{ratio:.2f}" for bits, ratio in curve), flush=True)


def plot(curves: dict[str, Curve], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name in DRAWN:
        kept = [(bits, ratio) for bits, ratio in sorted(curves[name]) if 0.05 <= bits <= 2.2]
        style = "k-" if "bound" in name else ("o-" if "loop" in name else "s--")
        axes.plot(*zip(*kept, strict=True), style, markersize=3, linewidth=1.2, label=name)
    axes.set(xlabel="bits per dimension, real bytes", ylabel="signal-to-noise ratio in dB")
    axes.set(xlim=(0, 2.2), ylim=(0, 22))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def decibel(ratio: float) -> float:
    return float(10 * np.log10(ratio))


if __name__ == "__main__":
    main()
