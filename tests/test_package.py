import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from beartype.roar import BeartypeCallHintViolation

import loopyvq
from loopyvq.coding.features import features_of

ROOT = Path(__file__).resolve().parents[1]


def test_every_public_name_is_there():
    for name in loopyvq.__all__:
        assert getattr(loopyvq, name) is not None
        assert name in dir(loopyvq)
    with pytest.raises(AttributeError, match="nothing"):
        loopyvq.nothing  # noqa: B018


def test_shapes_are_checked_by_every_test():
    known = [np.zeros(shape, np.int16) for shape in ((3, 8), (3, 7), (3, 2, 2))]
    assert features_of(*known, 0, 0).dtype == np.int16
    known[1] = known[1][:2]
    with pytest.raises(BeartypeCallHintViolation):
        features_of(*known, 0, 0)


def test_importing_the_package_does_not_import_torch():
    script = "import sys, loopyvq; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_every_module_has_a_mirrored_test():
    missing = []
    for module in sorted((ROOT / "loopyvq").rglob("*.py")):
        relative = module.relative_to(ROOT / "loopyvq")
        if module.name.startswith("__"):
            continue
        if not (ROOT / "tests" / relative.parent / f"test_{module.name}").is_file():
            missing.append(str(relative))
    assert missing == []


def test_the_example_of_the_readme_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks[0].strip().splitlines()) <= 12
    exec(compile(blocks[0], "README.md", "exec"), {})
    printed = capsys.readouterr().out
    mean, within = (float(number) for number in re.findall(r"\d+\.\d+", printed))
    assert 0 < mean < 12
    assert within > 99


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.stem)
def test_the_examples_of_the_docs_run(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        exec(compile(block, str(page), "exec"), {})
