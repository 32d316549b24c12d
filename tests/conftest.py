import gc
import inspect
import os
from functools import partial
from pathlib import Path

import jaxtyping
import pytest
import torch
from hypothesis import settings

_checked_twice = jaxtyping.jaxtyped


def _checked_once(function=None, *, typechecker):
    """Check what a function takes together with what it gives: half the time of one by one."""
    if function is None:
        return partial(_checked_once, typechecker=typechecker)
    hints = getattr(function, "__annotations__", {}).values()
    # Generators are checked when they begin, among the shapes of whoever reads them then.
    starts_late = inspect.isgeneratorfunction(function)
    unknown_yet = any(isinstance(hint, str) for hint in hints)
    if not inspect.isfunction(function) or starts_late or unknown_yet:
        return _checked_twice(function, typechecker=typechecker)
    return _checked_twice(typechecker(function), typechecker=None)


# Before the package is imported, whose functions pytest's plugin decorates with it.
jaxtyping.jaxtyped = _checked_once
# A machine that is busy with other work fails no test.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_finish() -> None:
    """Libraries and tests are no garbage: the collector need not look through them for ever."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _long_work():
    """Tests judge the way that long work goes, however little they search for."""
    from loopyvq.quantize.residual.backends import has_numba

    has_numba()


@pytest.fixture(autouse=True)
def _few_threads():
    torch.set_num_threads(int(os.environ.get("LOOPYVQ_TEST_THREADS", "1")))


@pytest.fixture
def shared_data() -> Path:
    """The folder of real images that developers have beside the checkout."""
    if not DATA.is_dir():
        pytest.skip(f"needs the development images in {DATA}")
    return DATA


@pytest.fixture
def tiny_config():
    """A tokenizer that runs in milliseconds."""
    from loopyvq.models import TokenizerConfig
    from loopyvq.quantize import LoopConfig

    loop = LoopConfig(codebook_size=16, codebook_dim=4, max_depth=4, start_iterations=2)
    return TokenizerConfig(channels=(8, 16), encoder_blocks=1, decoder_blocks=1, quantizer=loop)
