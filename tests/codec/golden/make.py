"""Make the golden files anew: only for a new version of the format, never over old files."""

import sys
from pathlib import Path

import numpy as np

from loopyvq.codec import compress_array, decompress_array

FOLDER = Path(__file__).parent


def main() -> None:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(64, 5)) * np.exp(generator.normal(size=(64, 1)))
    cases = {
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
    for name, (mode, max_error) in cases.items():
        path = FOLDER / f"{name}.lvq"
        if path.exists():
            sys.exit(f"{path} exists: golden files are for ever")
        data = compress_array(vectors.astype(np.float32), max_error, mode=mode)
        path.write_bytes(data)
        np.save(path.with_suffix(".npy"), decompress_array(data))


if __name__ == "__main__":
    main()
