import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_every_vector_is_within_the_bound():
    command = [sys.executable, EXAMPLES / "bounded_vectors.py", "samples", "--bound", "0.2"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)
    assert "100000 vectors of width 16" in run.stdout
    assert "within 0.2: 100.000%" in run.stdout
