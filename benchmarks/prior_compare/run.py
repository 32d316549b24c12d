"""Train the same prior over loopy, fixed-depth and plain VQ tokens, for equal processor time.

    tokenizers (trained alike, unless they are there) -> shards -> priors -> samples -> one table

What is compared: bits per pixel of images that the prior has not seen, and how far samples are from
real images (Frechet distance in the features of one small classifier), beside how well the tokens
alone reconstruct images: a prior over worse reconstructions has fewer bits to tell. So the loop
stands in the table several times: at the others' mean length, at their mean PSNR, and at their mean
squared error, which weighs all images alike (an image that is nearly perfect raises a mean of PSNRs
for few tokens, and a fixed depth spends as many on it as on any other).

With --priced N there are lines whose priors choose their own tokens: trained for a part of the
time on the nearest codes, then N times for another on tokens chosen by what they cost under it, in
as much time together as any other.

    python benchmarks/prior_compare/run.py --config configs/fashion_mnist.yaml \\
        --data fashion-mnist/train-images-idx3-ubyte.gz --out runs/prior_fashion

May be killed and called again; what is done stays.
"""

import argparse
import json
from pathlib import Path

from entries import chosen
from measures import judge, measure
from networks import train_tokenizers
from priors import taught
from report import table

from loopyvq.codec.importance import TUNES

WAYS = ["", "--top-p 0.9 --guidance 1.5"]
"""How to draw: options of `loopyvq evaluate generation`, the same for all lines."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="configs/fashion_mnist.yaml", help="of the tokenizers")
    parser.add_argument("--prior", default="configs/prior_small.yaml", help="config of the prior")
    parser.add_argument("--data", required=True, help="images in classes")
    parser.add_argument("--out", type=Path, default=Path("runs/prior_compare"))
    parser.add_argument("--tokenizers", type=Path, help="default: OUT/tokenizers")
    parser.add_argument("--tokenizer-steps", type=int, default=0, metavar="N",
                        help="default: those of the config")  # fmt: skip
    parser.add_argument("--seconds", type=float, default=300.0, help="processor time per prior")
    parser.add_argument("--steps", type=int, default=0, metavar="N",
                        help="equal steps, not time: for a machine that others use")  # fmt: skip
    parser.add_argument("--length", type=float, default=2.0, help="mean tokens per site")
    parser.add_argument("--stop", default="rate_distortion", help="when a site of the loop ends")
    parser.add_argument("--in-context", action="store_true",
                        help="also lines whose codes and stops are chosen in context")  # fmt: skip
    parser.add_argument("--lengths", type=float, nargs="*", default=[], metavar="N",
                        help="with --in-context or --priced: the loop at these too")  # fmt: skip
    parser.add_argument("--tune", default="ms_ssim", choices=tuple(TUNES),
                        help="what those weigh errors for")  # fmt: skip
    parser.add_argument("--effort", type=int, default=0, metavar="N",
                        help="with these: look N times at each image")  # fmt: skip
    parser.add_argument("--priced", type=int, default=0, metavar="N",
                        help="also lines whose priors choose their tokens, N times")  # fmt: skip
    parser.add_argument("--weigh", type=float, default=0.2, metavar="T",
                        help="threshold at which a fixed depth weighs or prices codes")  # fmt: skip
    parser.add_argument("--limit", type=int, default=0, metavar="N",
                        help="images with tokens in context or priced: 10 ms each")  # fmt: skip
    parser.add_argument("--images", type=int, default=1000, help="held-out images to measure on")
    parser.add_argument("--count", type=int, default=1000, help="images to draw; 0: none")
    parser.add_argument("--sampling", nargs="+", default=WAYS, metavar="OPTIONS",
                        help="ways to draw, each one word")  # fmt: skip
    parser.add_argument("--short", default="loop_short", choices=("loop", "loop_short"),
                        help="which loop is compared with plain VQ")  # fmt: skip
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these lines")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N",
                        help="a prior and its samples for each")  # fmt: skip
    parser.add_argument("--accelerator", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--precision", default="32-true")
    arguments, arguments.options = parser.parse_known_args()
    if arguments.lengths and not (arguments.in_context or arguments.priced):
        parser.error("--lengths needs --in-context or --priced")
    arguments.tokenizers = arguments.tokenizers or arguments.out / "tokenizers"
    try:
        wanted = chosen(arguments)
    except ValueError as error:
        parser.error(str(error))
    train_tokenizers(arguments, wanted)
    path = arguments.out / "results.json"
    found = json.loads(path.read_text()) if path.is_file() else []
    results = {(item["name"], item.get("seed", 0)): item for item in found}
    for entry in wanted:
        for seed in arguments.seeds:
            shards, trained = taught(arguments, entry, seed)
            judged = judge(arguments, entry, seed) if arguments.count else {}
            measured = measure(arguments, entry, shards, seed)
            results[entry.name, seed] = {**measured, **trained, **judged}
            path.write_text(json.dumps(list(results.values()), indent=2) + "\n")
            print(table(list(results.values()), arguments.sampling), flush=True)


if __name__ == "__main__":
    main()
