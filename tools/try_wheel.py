"""Install the wheel of a folder into an empty environment and use it there, far from the checkout.

    python tools/try_wheel.py [dist] [--constraints constraints.txt]

A photograph is compressed, decompressed and verified by the installed command, with the model that
the wheel brings and without any extra. The environment takes 1 GB in the folder for temporary files
while this runs. pip takes its settings from where it always does, so torch comes from where the
development environment has it from.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from check_dist import ROOT, only
from PIL import Image

from loopyvq.data import open_image_set, to_pil

THRESHOLD = 0.2
# Far below what any model of photographs gives at this threshold, far above a wrong image.
LEAST_DB = 20.0
# What would make the environment of the checkout shine through.
HIDDEN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_REQUIRE_VIRTUALENV")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "dist")
    parser.add_argument("--constraints", type=Path, default=ROOT / "constraints.txt")
    options = parser.parse_args()
    wheel = only(options.folder, "*.whl").resolve()
    with tempfile.TemporaryDirectory(prefix="loopyvq-wheel-") as folder:
        home = Path(folder)
        start_s = time.monotonic()
        programs = installed(wheel, options.constraints.resolve(), home / "venv")
        print(f"installed {wheel.name} in {time.monotonic() - start_s:.0f} s")
        (home / "work").mkdir()
        check_origin(programs, home)
        check_photograph(programs, home / "work")


def installed(wheel: Path, constraints: Path, venv: Path) -> Path:
    """Make an environment that holds the wheel and what it asks for, and nothing else."""
    run([sys.executable, "-m", "venv", str(venv)], venv.parent)
    programs = venv / ("Scripts" if os.name == "nt" else "bin")
    words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([str(programs / "python"), *words, "-c", str(constraints), str(wheel)], venv.parent)
    return programs


def check_origin(programs: Path, home: Path) -> None:
    """Require that the package comes from the environment and not from the checkout."""
    script = "import loopyvq; print(loopyvq.__file__)"
    found = Path(run([str(programs / "python"), "-c", script], home / "work").strip())
    if not found.is_relative_to(home):
        raise SystemExit(f"the environment takes loopyvq from {found}")


def check_photograph(programs: Path, folder: Path) -> None:
    """Compress, decompress and verify a photograph by the command."""
    photograph = to_pil(open_image_set("samples").read(2))
    photograph.save(folder / "photo.png")
    command = str(programs / "loopyvq")
    for words in (
        ["--version"],
        ["models"],
        ["compress", "photo.png", "--threshold", str(THRESHOLD)],
        ["decompress", "compressed/photo.png.lvq"],
        ["verify", "compressed/photo.png.lvq", "--original", "photo.png"],
    ):
        print(f"$ loopyvq {' '.join(words)}\n{run([command, *words], folder)}", end="")
    with Image.open(folder / "decompressed" / "photo.png") as decoded:
        quality_db = psnr_db(np.asarray(decoded), np.asarray(photograph))
    print(f"{quality_db:.2f} dB")
    if quality_db < LEAST_DB:
        raise SystemExit(f"the photograph came back with {quality_db:.2f} dB")


def psnr_db(image: np.ndarray, reference: np.ndarray) -> float:
    error = float(np.square(image.astype(float) - reference).mean())
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def run(words: list[str], folder: Path) -> str:
    """Run a program in a folder; what it says on failure is shown."""
    inherited = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    done = subprocess.run(
        words, cwd=folder, env=inherited, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{words}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
