"""Headers of model files with arbitrary values: one error of ours, or a model, and never a wait."""

import copy
import math
import random

import pytest

from loopyvq.checkpoint import (
    load_prior,
    load_tokenizer,
    prior_source,
    save_prior,
    save_tokenizer,
)
from loopyvq.data.token_source import TokenSource
from loopyvq.errors import CheckpointError, LoopyVQError
from loopyvq.evaluation.classifier import (
    ClassifierConfig,
    SmallClassifier,
    load_classifier,
    save_classifier,
)
from loopyvq.models import TamingConfig, Tokenizer, TokenizerConfig
from loopyvq.models.prior.attention import TransformerConfig
from loopyvq.models.prior.condition_embedding import ConditionConfig
from loopyvq.models.prior.flat_prior import FlatPriorConfig
from loopyvq.models.prior.flat_tokens import FlatTokensConfig, FlatTokensPrior
from loopyvq.models.prior.site_prior import SitePrior, SitePriorConfig
from loopyvq.models.taming import plain_quantizer
from loopyvq.models.taming.prior import TamingPrior, TamingPriorConfig
from loopyvq.quantize import LoopConfig
from loopyvq.tensor_file import read_tensors, write_tensors

HOSTILE = (None, 0, -1, 10**12, 10**30, 1e308, -1e308, math.nan, math.inf, "", "x", [], [0], {},
           True, [10**6, 10**6])  # fmt: skip


def _tokenizer(path):
    loop = LoopConfig(codebook_size=8, codebook_dim=4, max_depth=3, code_supports=(1, 2))
    save_tokenizer(path, Tokenizer(TokenizerConfig(channels=(4, 8), quantizer=loop)))


def _taming_tokenizer(path):
    quantizer = plain_quantizer(8, 4)
    config = TamingConfig(
        base_channels=32, multipliers=(1,), attention_levels=(0,), blocks=1, quantizer=quantizer,
        latent_channels=4,
    )  # fmt: skip
    save_tokenizer(path, Tokenizer(config))


def _site_prior(path):
    small = TransformerConfig(width=8, layers=1, heads=2)
    told = ConditionConfig(classes=3, symbols=2)
    config = SitePriorConfig(
        codebook_size=5, max_depth=2, transformer=small, depth=small, condition=told,
        lengths="first",
    )  # fmt: skip
    save_prior(path, SitePrior(config), TokenSource())


def _flat_prior(path):
    small = TransformerConfig(width=8, layers=1, heads=2)
    config = FlatTokensConfig(
        codebook_size=5, max_depth=2, transformer=small, spelling="run_length"
    )
    save_prior(path, FlatTokensPrior(config))


def _taming_prior(path):
    sizes = FlatPriorConfig(vocabulary_size=8, context_length=6, layers=1, heads=2, width=4)
    save_prior(path, TamingPrior(TamingPriorConfig(permuted_sites=3, prior=sizes)))


def _classifier(path):
    save_classifier(path, SmallClassifier(ClassifierConfig(width=2)))


FILES = {
    "tokenizer": (_tokenizer, load_tokenizer, "config"),
    "taming tokenizer": (_taming_tokenizer, load_tokenizer, "config"),
    "site prior": (_site_prior, load_prior, "config"),
    "flat prior": (_flat_prior, load_prior, "config"),
    "taming prior": (_taming_prior, load_prior, "config"),
    "source of a prior": (_site_prior, prior_source, "source"),
    "classifier": (_classifier, load_classifier, "config"),
}


def _paths(value, path=()):
    """Give the place of every value within nested mappings and lists, the outermost one too."""
    yield path
    inner = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        inner = enumerate(value)
    for key, item in inner:
        yield from _paths(item, (*path, key))


def _changed(header, path, value):
    header = copy.deepcopy(header)
    inner = header
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return {name: item for name, item in header.items() if name not in ("format_version", "kind")}


def _require_model_or_error(name, path, draw):
    """Put values, drawn for each place of the header, there one by one."""
    save, load, section = FILES[name]
    save(path)
    load(path)
    kind = name.split()[-1]
    tensors, header = read_tensors(path, kind)
    for where in _paths(header[section], (section,)):
        for value in draw():
            write_tensors(path, kind, tensors, **_changed(header, where, value))
            try:
                load(path)
                found = ""
            except LoopyVQError as error:
                found = str(error)
            except Exception as error:
                raise AssertionError(f"{where} = {value!r}: {error!r}") from error
            assert "\n" not in found, (where, value)


@pytest.mark.parametrize("name", FILES)
def test_a_value_anywhere_gives_a_model_or_one_error_of_ours(name, tmp_path):
    drawn = random.Random(name)
    _require_model_or_error(name, tmp_path / "file", lambda: [drawn.choice(HOSTILE)])


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_any_value_anywhere_gives_a_model_or_one_error_of_ours(name, tmp_path):
    _require_model_or_error(name, tmp_path / "file", lambda: HOSTILE)


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("config",), "x", "mapping of options, got 'x'"),
        (("config",), None, "mapping of options, got None"),
        (("config", "channels"), [10**6, 10**6], "far more than the file holds"),
        (("config", "encoder_blocks"), 10**7, "far more than the file holds"),
        (("config", "quantizer", "codebook_size"), 10**12, "far more than the file holds"),
        (("config", "quantizer", "codebook_size"), 9, "expected"),
    ],
)
def test_what_no_file_holds_is_refused_in_words(tmp_path, where, value, message):
    path = tmp_path / "model.safetensors"
    _tokenizer(path)
    tensors, header = read_tensors(path, "tokenizer")
    write_tensors(path, "tokenizer", tensors, **_changed(header, where, value))
    with pytest.raises(CheckpointError, match=message):
        load_tokenizer(path)


def test_tables_that_no_file_holds_are_no_reason_to_refuse(tmp_path):
    """A long grammar stands beside few weights."""
    narrow = TransformerConfig(width=1, layers=1, heads=1)
    for spelling in ("flat", "dummy", "run_length"):
        config = FlatTokensConfig(
            codebook_size=4096, max_depth=255, spelling=spelling, transformer=narrow
        )
        save_prior(tmp_path / "prior", FlatTokensPrior(config))
        assert load_prior(tmp_path / "prior").config == config


def test_a_header_without_an_end_is_none(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "model.safetensors"
    for text in ("[" * 100_000, '{"format_version": Infinity, "kind": "tokenizer"}'):
        save_file({}, path, metadata={"loopyvq": text})
        with pytest.raises(CheckpointError, match="not written by loopyvq"):
            load_tokenizer(path)
