"""What stops that cost nothing would save a model of fixed depth whose codes are priced.

    python benchmarks/race/free_stops.py runs/fixed-structure kodak.zip bsds500.zip --limit 3

MODEL is of fixed depth and has tables. Its files are those of `evaluate rd --fixed-depth` with
priced codes: the same number of tokens at every site, chosen by what they cost. Each site is then
cut where its squared error and its bits together are least, as if the decoder were told for
nothing. That saves bits at the price that the tokens were chosen with: what stops alone are worth
here. Going on beyond the depth where a site needs more, which a variable length does as well, is
not counted.
"""

import argparse
from collections import defaultdict
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from loopyvq.codec import Codec
from loopyvq.coding import CodedTokens, Tables
from loopyvq.coding.in_context import NetworkModel
from loopyvq.coding.order import batches_of
from loopyvq.coding.ports import KnownPort
from loopyvq.coding.range_coder import TOTAL
from loopyvq.coding.turns import plane_of_turn, stop_share_of
from loopyvq.data import open_image_set
from loopyvq.evaluation.rd_systems import BIT_PRICES, Reading, files_of, mean_error
from loopyvq.tokens import Tokens


class _Costs(KnownPort):
    """Keeps what a perfect coder would need for each symbol, in bits, in the order of coding."""

    costs: list[np.ndarray]

    def take(self, symbols: Int[np.ndarray, " n"], frequencies: Int[np.ndarray, "*n k"]) -> None:
        """Measure symbols; see `KnownPort`."""
        every = np.broadcast_to(frequencies, (len(symbols), frequencies.shape[-1]))
        self.costs.append(-np.log2(every[np.arange(len(symbols)), symbols] / TOTAL))


def bits_of(tokens: Tokens, codebook_size: int, tables: Tables) -> Float[np.ndarray, "h w l"]:
    """Tell what each token costs in its context.

    Args:
        tokens: of one image, the same number at every site.
        codebook_size: number of codes.
        tables: of the model.

    Returns:
        Bits.
    """
    coded = CodedTokens(tokens.codes.numpy(), tokens.lengths.numpy())
    model = NetworkModel(tables, coded.lengths.shape, neighbours=True)
    bits = np.zeros((*coded.lengths.shape, int(coded.lengths.max())))
    for turn in range(bits.shape[2]):
        plane, active = plane_of_turn(coded, turn, codebook_size)
        port = _Costs(plane, codebook_size + 1)
        port.costs = []
        model.code_turn(port, active, turn, stop_share_of(plane, active, port.stop))
        for batch, costs in zip(batches_of(active, turn), port.costs, strict=True):
            bits[batch.rows, batch.columns, turn] = costs
    return bits


def saved_by_stops(
    errors: Float[np.ndarray, "*n m"], bits: Float[np.ndarray, "*n l"], price: float
) -> tuple[float, float]:
    """Cut each site where error and bits together are least.

    Args:
        errors: squared error after 0, 1, ... tokens, one more than there are turns.
        bits: of each token.
        price: squared error that a bit is worth.

    Returns:
        Share of the bits that is saved at equal cost, and the mean length that is left.
    """
    spent = np.concatenate([np.zeros((*bits.shape[:-1], 1)), bits.cumsum(axis=-1)], axis=-1)
    costs = errors + price * spent
    saved = (costs[..., -1] - costs.min(axis=-1)).sum() / price
    return float(saved / bits.sum()), float(costs.argmin(axis=-1).mean())


@torch.no_grad()
def measure(codec: Codec, reading: Reading, image: Tensor) -> list[tuple[float, float, float]]:
    """Give rate in bits per pixel, share saved and mean length left of each file of an image."""
    quantizer, tables = codec.tokenizer.quantizer, codec.tables
    if tables is None:
        raise SystemExit("the model has no tables: make them with loopyvq tables")
    latents, rows = codec.writer(image).aim.latents, []
    for setting, data in files_of(codec, image, reading):
        if "price" in setting:
            continue
        tokens = codec.decode_sites(data).tokens
        depth = int(tokens.lengths.max())
        left = [latents] + [latents - quantizer.decode(tokens.prefix(t + 1)) for t in range(depth)]
        errors = torch.stack([(item / quantizer.sigma).square().sum(-1) for item in left], -1)
        bits = bits_of(tokens, quantizer.codebook_size, tables)
        nearest = quantizer.encode(latents, 0.0, depth)
        price = BIT_PRICES[reading.tune] * mean_error(quantizer, latents, nearest)
        pixels = image.shape[1] * image.shape[2]
        rows.append((8 * len(data) / pixels, *saved_by_stops(errors.numpy(), bits, price)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a model of fixed depth with tables")
    parser.add_argument("images", nargs="+")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images of each")
    arguments = parser.parse_args()
    codec = Codec.load(arguments.model)
    reading = Reading("priced", arguments.model, fixed_depth=True, priced=True, tune="psnr")
    print("| images | tokens per site | bit/pixel | saved by free stops | tokens left |")
    print("|---|---:|---:|---:|---:|")
    for source in arguments.images:
        found = defaultdict(list)
        for _, image in islice(open_image_set(source, channels=3).images(), arguments.limit):
            for turns, row in enumerate(measure(codec, reading, image), start=1):
                found[turns].append(row)
        for turns, rows in found.items():
            rate, share, length = np.mean(rows, axis=0)
            name = Path(source).stem
            print(f"| {name} | {turns} | {rate:.3f} | {share:.1%} | {length:.2f} |", flush=True)


if __name__ == "__main__":
    main()
