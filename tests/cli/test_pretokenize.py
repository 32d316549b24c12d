import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from loopyvq.checkpoint import (
    load_prior,
    load_tokenizer,
    prior_source,
    save_prior,
    save_tokenizer,
)
from loopyvq.codec import fit_tables_to_images, save_tables
from loopyvq.data import open_image_set, to_pil
from loopyvq.data.token_shards import open_token_shards, read_plan, write_plan
from loopyvq.models.prior.condition_embedding import ConditionConfig
from loopyvq.models.prior.site_prior import SitePrior
from loopyvq.training.prior_task import nats_of


@pytest.fixture(scope="session")
def squares(tmp_path_factory) -> Path:
    """Square images in two classes."""
    folder = tmp_path_factory.mktemp("squares")
    generator = torch.Generator().manual_seed(0)
    for index in range(12):
        place = folder / ("ant" if index % 3 else "bee")
        place.mkdir(exist_ok=True)
        image = torch.randint(0, 256, (3, 32, 32), generator=generator, dtype=torch.uint8)
        to_pil(image).save(place / f"{index}.png")
    return folder


def test_shards_are_written_described_and_gone_on_with(run, workspace, squares, tmp_path):
    words = ("pretokenize", workspace / "run", "--data", squares, "--out", tmp_path / "shards",
             "--condition", "class", "--threshold", "0.4", "--images-per-shard", "5",
             "--views", "2")  # fmt: skip
    code, out, _ = run(*words)
    assert code == 0
    assert "24 images in 3 shards, 32 x 32 pixels, 4 x 4 sites" in out
    assert "threshold 0.4, lengths 0 to 4, 16 codes, condition class" in out
    assert "ant" in out
    assert "sites by length" in out
    shards = open_token_shards(tmp_path / "shards")
    assert shards.source.class_names == ("ant", "bee")
    code, again, _ = run(*words)
    assert again.startswith("3 of 3 shards were there already")
    code, described, _ = run("info", tmp_path / "shards")
    assert code == 0
    assert described in out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--depth", "2"), "threshold 0, lengths 2 to 2"),
        (("--quality", "50"), "threshold 0.182"),
        (
            ("--threshold", "0.4", "--stop", "rate_distortion", "--min-length", "1"),
            "threshold 0.4 (rate_distortion), lengths 1 to 4",
        ),
        (("--size", "16"), "16 x 16 pixels, 2 x 2 sites"),
        (("--limit", "3"), "3 images in 1 shards"),
    ],
)
def test_the_ways_to_stop_and_to_cut(run, workspace, squares, tmp_path, words, expected):
    code, out, _ = run(
        "pretokenize", workspace / "run", "--data", squares, "--out", tmp_path, *words
    )
    assert code == 0
    assert expected in out


def test_a_mean_length_is_met(run, workspace, squares, tmp_path):
    words = ("pretokenize", workspace / "run", "--data", squares, "--mean-length", "1.5")
    assert run(*words, "--out", tmp_path)[0] == 0
    shards = open_token_shards(tmp_path)
    assert abs(float(shards.packed.lengths.float().mean()) - 1.5) < 0.1


def test_a_tune_is_kept_with_the_tokens(run, workspace, squares, tmp_path):
    tokenizer = load_tokenizer(workspace / "run")
    images = [image for _, image in open_image_set(squares, channels=3).images()]
    model = tmp_path / "model.safetensors"
    save_tokenizer(model, tokenizer)
    save_tables(model, fit_tables_to_images(tokenizer, images, examples_per_turn=200))
    words = ("pretokenize", model, "--data", squares, "--threshold", "0.3", "--in-context")
    lengths = []
    for tune, shown in (("psnr", "(in_context)"), ("ms_ssim", "(in_context, for ms_ssim)")):
        code, out, err = run(*words, "--tune", tune, "--out", tmp_path / tune)
        assert code == 0, err
        assert shown in out
        shards = open_token_shards(tmp_path / tune)
        assert (shards.source.stop, shards.source.tune) == ("in_context", tune)
        lengths.append(shards.packed.lengths)
    assert not torch.equal(*lengths)
    code, out, err = run(*words, "--effort", 1, "--out", tmp_path / "effort")
    assert code == 0, err
    assert "(in_context, effort 1)" in out
    shards = open_token_shards(tmp_path / "effort")
    assert shards.source.effort == 1
    assert not torch.equal(shards.packed.lengths, lengths[0])


def test_a_prior_prices_the_tokens_of_another(run, workspace, prior, squares, tmp_path):
    named = tmp_path / "named"
    for old, new in (("ant", "Forest"), ("bee", "River")):
        shutil.copytree(squares / old, named / new)
    words = ("pretokenize", workspace / "run", "--data", named, "--condition", "class")
    words += ("--threshold", "0.6", "--priced-by", prior)
    plain = run(*words[:-2], "--out", tmp_path / "plain")
    assert plain[0] == 0
    found = [open_token_shards(tmp_path / "plain")]
    for options, shown in (((), "(prior)"), (("--effort", 1, "--tune", "balanced"), "(prior, for")):
        out_folder = tmp_path / f"priced{len(options)}"
        code, out, err = run(*words, *options, "--out", out_folder)
        assert code == 0, err
        assert shown in out
        found.append(open_token_shards(out_folder))
        assert found[-1].source.stop == "prior"
    model = load_prior(prior)
    nats = [nats_of(model, some.packed, some.source, 4).per_site for some in found]
    assert nats[1] < nats[0]
    assert not torch.equal(found[1].packed.lengths, found[2].packed.lengths)
    # The folder belongs to the prior that began it.
    torch.nn.init.normal_(model.depth.head.weight)
    save_prior(prior.parent / "other.safetensors", model, prior_source(prior))
    other = (*words[:-1], prior.parent / "other.safetensors", "--out", tmp_path / "priced0")
    code, _, err = run(*other)
    assert code == 2
    assert "holds tokens of another model" in err
    fixed = (*words[:6], "--depth", "4", "--weigh", "0.6", "--priced-by", prior)
    code, out, err = run(*fixed, "--out", tmp_path / "fixed")
    assert code == 2  # that prior may stop
    assert "least length 0, not 4" in err


@pytest.mark.parametrize(
    ("condition", "message"),
    [("class", "knows the classes Forest, River; those of"), ("boxes", "told class, not boxes")],
)
def test_a_prior_that_was_told_something_else_has_no_prices(
    run, workspace, prior, squares, tmp_path, condition, message
):
    words = ("pretokenize", workspace / "run", "--data", squares, "--priced-by", prior)
    half = ("--condition.half", "right") if condition == "boxes" else ()
    code, _, err = run(
        *words, "--size", 16, "--condition", condition, *half, "--out", tmp_path / "x"
    )
    assert code == 2
    assert message in err
    assert not (tmp_path / "x").exists()


def test_a_prior_of_fewer_sites_has_no_prices(run, workspace, prior, squares, tmp_path):
    words = ("pretokenize", workspace / "run", "--data", squares, "--priced-by", prior)
    code, _, err = run(*words, "--size", 40, "--out", tmp_path / "x")
    assert code == 2
    assert "knows up to 4 x 4 sites, images of 40 pixels have 5 x 5" in err
    assert not (tmp_path / "x").exists()


def test_a_prior_of_fewer_turns_prices_as_many(run, workspace, prior, squares, tmp_path):
    lengths, untold = {"min_length": 1, "max_depth": 2}, {"classes": 0, "class_names": ()}
    source = replace(prior_source(prior), condition="none", **untold, **lengths)
    sizes = replace(load_prior(prior).config, condition=ConditionConfig(), **lengths)
    save_prior(tmp_path / "short.safetensors", SitePrior(sizes).eval(), source)
    words = ("pretokenize", workspace / "run", "--data", squares, "--priced-by")
    words += (tmp_path / "short.safetensors", "--out")
    code, _, err = run(*words, tmp_path / "x", "--threshold", "0.1", "--min-length", "1")
    assert code == 0, err
    assert open_token_shards(tmp_path / "x").source.max_depth == 2
    code, _, err = run(*words, tmp_path / "y", "--depth", 1, "--weigh", 1)
    assert code == 2
    assert "the prior is of up to 2 tokens per site, not 1" in err


def test_prices_of_a_prior_of_another_model_are_refused(run, workspace, prior, squares, tmp_path):
    other = tmp_path / "other.safetensors"
    tokenizer = load_tokenizer(workspace / "run")
    with torch.no_grad():
        tokenizer.quantizer.codebook.weight += 1
    save_tokenizer(other, tokenizer)
    words = ("pretokenize", other, "--data", squares, "--priced-by", prior)
    code, _, err = run(*words, "--out", tmp_path / "x")
    assert code == 2
    assert "other.safetensors is the tokenizer" in err


def test_pooled_and_mean_psnr_are_two_wishes(run, workspace, squares, tmp_path, monkeypatch):
    asked = []

    def stop(tokenizer, images, psnr_db, like, tables, *, pooled):
        asked.append((psnr_db, pooled, sum(len(batch) for batch in images)))
        return like._replace(threshold=0.5)

    monkeypatch.setattr("loopyvq.pretokenize.stop_for_psnr", stop)
    words = ("pretokenize", workspace / "run", "--data", squares, "--out")
    for option in ("--psnr", "--pooled-psnr"):
        code, _, err = run(*words, tmp_path / option, option, "21")
        assert code == 0, err
        assert open_token_shards(tmp_path / option).source.threshold == 0.5
    assert asked == [(21.0, False, 12), (21.0, True, 12)]


def test_label_maps_are_told_in_cells(run, workspace, tmp_path):
    (tmp_path / "pairs").mkdir()
    for index in range(3):
        pair = torch.zeros(3, 32, 64, dtype=torch.uint8)
        pair[:, :, 32:] = index
        to_pil(pair[:1]).save(tmp_path / "pairs" / f"{index}.png")
    words = ("pretokenize", workspace / "run", "--data", tmp_path / "pairs", "--out",
             tmp_path / "shards", "--size", "32", "--condition", "segmentation",
             "--condition.half", "right", "--condition.labels.num_labels", "3",
             "--condition-cells", "2")  # fmt: skip
    code, _, err = run(*words)
    assert code == 0, err
    symbols = open_token_shards(tmp_path / "shards").packed.condition.symbols
    assert symbols.shape == (3, 8, 8)
    assert symbols[2].unique().tolist() == [2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--condition", "edges"), "edges must be told in codes"),
        (("--condition", "colour"), "kind"),
        (("--depth", "9"), "depth must be within 1..4"),
        (("--mean-length", "9"), "above 0 up to 4"),
        (("--psnr", "99"), "no threshold gives 99 dB"),
        (("--pooled-psnr", "99"), "no threshold gives 99 dB"),
        (("--tune", "ms_ssim"), "--tune is for --in-context or --priced-by"),
        (("--effort", "1"), "--effort is for --in-context or --priced-by, of sites that may end"),
        (("--priced-by", "x", "--depth", "2"), "--priced-by with --depth needs --weigh"),
        (("--priced-by", "nowhere.safetensors"), "there is no file nowhere.safetensors"),
        (("--batch-size", "0"), "must be at least 1"),
        (("--no-such-option", "1"), "unknown option --no-such-option"),
        (("--condition", "edges", "--condition.no_such", "1"), "no_such"),
        (("--condition.half", "right"), "--condition.half says nothing of the condition none"),
        (("--condition-cells", "2"), "cells are for segmentation"),
        (("--depth", "2", "--in-context"), "--in-context is for sites that may end"),
        (("--depth", "2", "--stop", "threshold"), "--stop is for sites that may end"),
        (("--depth", "2", "--min-length", "1"), "--min-length is for sites that may end"),
        (("--threshold", "0.4", "--weigh", "0.3"), "--weigh is for --depth"),
        (("--depth", "2", "--weigh", "nan"), "--effort and --weigh must be 0 or more"),
        (("--depth", "2", "--weigh", "-1"), "--effort and --weigh must be 0 or more"),
        (("--size", "0"), "--size must be at least 1"),
        (("--views", "0"), "views must be at least 1"),
    ],
)
def test_bad_options_are_named_in_one_line(run, workspace, squares, tmp_path, words, message):
    code, _, err = run(
        "pretokenize", workspace / "run", "--data", squares, "--out", tmp_path, *words
    )
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_images_that_are_not_square_need_a_size(run, workspace, tmp_path):
    code, _, err = run("pretokenize", workspace / "run", "--data", workspace / "photos")
    assert code == 2
    assert "--size" in err


def test_other_images_do_not_mix_into_a_folder(run, workspace, squares, tmp_path):
    other = shutil.copytree(squares, tmp_path / "other")
    for path in other.rglob("*.png"):
        to_pil(255 - open_image_set(path).read(0)).save(path)
    words = ("pretokenize", workspace / "run", "--threshold", "0.4", "--images-per-shard", "5")
    words += ("--out", tmp_path / "x", "--data")
    assert run(*words, squares)[0] == 0
    (tmp_path / "x" / "shard-00001.safetensors").unlink()
    code, _, err = run(*words, other)
    assert code == 2
    assert "of other images" in err
    moved = shutil.copytree(squares, tmp_path / "moved")
    code, out, _ = run(*words, moved)  # the same images, wherever they lie
    assert code == 0
    assert out.startswith("2 of 3 shards were there already")


def test_folders_that_do_not_name_their_images_go_on(run, workspace, squares, tmp_path):
    words = ("pretokenize", workspace / "run", "--threshold", "0.4", "--data", squares)
    assert run(*words, "--out", tmp_path / "new")[0] == 0
    plan = replace(read_plan(tmp_path / "new"), images="")
    write_plan(tmp_path / "old", plan)
    code, _, _ = run(*words, "--out", tmp_path / "old")
    assert code == 0
    assert read_plan(tmp_path / "old") == plan
    assert run(*words, "--out", tmp_path / "old")[1].startswith("1 of 1 shards were there")
