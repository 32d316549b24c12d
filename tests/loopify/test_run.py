import json

import pytest
import torch

from loopyvq.checkpoint import load_tokenizer, save_tokenizer
from loopyvq.data import open_image_set
from loopyvq.errors import ConfigError, DataError
from loopyvq.loopify import LoopifyConfig, loopify_model
from tests.loopify.conftest import noise, plain


@pytest.fixture
def model(tmp_path, tokenizer):
    save_tokenizer(tmp_path / "old.safetensors", tokenizer)
    return tmp_path / "old.safetensors"


def test_a_model_in_a_file_becomes_one_in_a_folder(model, photos, tmp_path):
    config = LoopifyConfig(max_depth=4, test_images=3, finetune_steps=2, batch_size=2, crop=32)
    found = loopify_model(model, photos, tmp_path / "out", config)
    looped = load_tokenizer(tmp_path / "out")
    assert found.model == tmp_path / "out" / "model.safetensors"
    assert looped.quantizer.max_depth == 4
    assert found.equal_codes == found.codes > 0
    assert [row.model for row in found.rows] == ["before", *["loopified"] * 5, *["fine-tuned"] * 5]
    assert found.rows[0].tokens_per_site == 1
    assert [row.threshold for row in found.rows[1:6]] == [row.threshold for row in found.rows[6:]]
    values = json.loads((tmp_path / "out" / "loopify.json").read_text())
    assert values["rows"][1]["psnr_db"] == found.rows[1].psnr_db
    assert values["sites_that_begin_with_the_old_code"] == values["sites"] == found.codes
    old = load_tokenizer(model).encode(noise(2))
    assert torch.equal(looped.encode(noise(2)).codes[..., :1], old.codes)


@pytest.mark.slow
def test_the_seed_decides(model, photos, tmp_path):
    test = open_image_set(photos)
    found = [
        loopify_model(model, photos, tmp_path / str(run), LoopifyConfig(seed=seed), test=test)
        for run, seed in enumerate((0, 0, 1))
    ]
    assert found[0].rows == found[1].rows
    assert found[0].gains == found[1].gains
    assert found[0].codes == 12 * found[2].codes // 12


def test_what_cannot_be_done_says_why(photos, tmp_path):
    save_tokenizer(tmp_path / "old.safetensors", plain("loopy"))
    model = tmp_path / "old.safetensors"
    with pytest.raises(ConfigError, match="test_images must be at least 1, got 0"):
        LoopifyConfig(test_images=0)
    with pytest.raises(ConfigError, match="max_depth must be 255 at most, got 300"):
        LoopifyConfig(max_depth=300)
    one = open_image_set(photos / "0.png")
    with pytest.raises(DataError, match="1 images are too few to hold some out"):
        loopify_model(model, one, tmp_path / "out")
    save_tokenizer(tmp_path / "run" / "best.safetensors", plain("loopy"))
    with pytest.raises(ConfigError, match="holds a run already"):
        loopify_model(model, photos, tmp_path / "run")
    save_tokenizer(tmp_path / "own" / "model.safetensors", plain("loopy"))
    for source in (tmp_path / "own", tmp_path / "own" / "model.safetensors"):
        with pytest.raises(ConfigError, match="holds the model that is loopified"):
            loopify_model(source, photos, tmp_path / "own")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "1.png").write_text("no image")
    with pytest.raises(DataError, match="no readable image to fit to"):
        loopify_model(model, tmp_path / "bad", tmp_path / "out", test=photos)
