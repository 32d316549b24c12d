import json
from pathlib import Path

import pytest
import torch

from loopyvq.cli.main import main
from loopyvq.data import to_pil
from tests.training.conftest import TINY


@pytest.fixture
def run(capsys):
    """Run the command line in this process: exit code, standard output, standard error."""

    def call(*words: object) -> tuple[int, str, str]:
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture(scope="session")
def workspace(tmp_path_factory) -> Path:
    """A folder with photographs, a config and a trained model."""
    root = tmp_path_factory.mktemp("workspace")
    (root / "photos" / "sub").mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    for index in range(6):
        image = torch.randint(0, 256, (3, 40, 33 + index), generator=generator, dtype=torch.uint8)
        folder = root / "photos" / ("sub" if index % 2 else "")
        to_pil(image).save(folder / f"{index}.png")
    (root / "tiny.yaml").write_text(json.dumps(TINY))  # JSON is YAML
    words = ["train", "tokenizer", root / "tiny.yaml", "--data", root / "photos"]
    assert main([str(word) for word in [*words, "--out", root / "run", "--quiet"]]) == 0
    return root
