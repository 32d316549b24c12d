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
    assert (
        main([str(word) for word in [*words, "--out", root / "run", "--quiet", "--tables", 0]]) == 0
    )
    return root


@pytest.fixture(scope="session")
def prior(workspace) -> Path:
    """A prior of the workspace's model that knows two classes and nothing else."""
    from loopyvq.checkpoint import load_tokenizer, model_identity, save_prior
    from loopyvq.data.token_source import TokenSource
    from loopyvq.models.prior.attention import TransformerConfig
    from loopyvq.models.prior.condition_embedding import ConditionConfig
    from loopyvq.models.prior.site_prior import SitePrior, SitePriorConfig

    tokenizer = load_tokenizer(workspace / "run")
    torch.manual_seed(0)
    sizes = TransformerConfig(width=16, layers=1, heads=2)
    known = {"codebook_size": 16, "max_depth": 4, "rows": 4, "columns": 4}
    told = ConditionConfig(classes=2)
    model = SitePrior(
        SitePriorConfig(**known, transformer=sizes, depth=sizes, condition=told)  # type: ignore[arg-type]
    )
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.5)
    source = TokenSource(
        **known,  # type: ignore[arg-type]
        tokenizer=model_identity(tokenizer),
        tokenizer_path="../run/best.safetensors",
        height=32,
        width=32,
        threshold=0.5,
        condition="class",
        classes=2,
        class_names=("Forest", "River"),
    )
    path = workspace / "prior" / "best.safetensors"
    save_prior(path, model, source)
    return path.parent
