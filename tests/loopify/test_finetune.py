import torch

from loopyvq.checkpoint import load_tokenizer, model_identity, save_tokenizer
from loopyvq.data import Subset, open_image_set
from loopyvq.loopify import with_turns
from loopyvq.loopify.finetune import finetune_decoder
from tests.loopify.conftest import noise
from tests.loopify.test_surgery import latents_of


def test_only_the_decoder_learns(tokenizer, photos, tmp_path):
    looped = with_turns(tokenizer, latents_of(tokenizer))
    before = {name: item.clone() for name, item in looped.state_dict().items()}
    images = noise(3, seed=4)
    tokens = looped.encode(images, 0.1)
    error = (looped.reconstruct(images, 0.1) - images).square().mean()
    tuned = finetune_decoder(
        looped, open_image_set(photos), tmp_path / "record", steps=12, batch_size=4, crop=32,
        quiet=True,
    )  # fmt: skip
    assert not tuned.training
    for name, item in tuned.state_dict().items():
        if not name.startswith("decoder."):
            assert torch.equal(item, before[name]), name
    assert torch.equal(tuned.encode(images, 0.1).codes, tokens.codes)
    assert (tuned.reconstruct(images, 0.1) - images).square().mean() < error
    assert (tmp_path / "record" / "metrics.jsonl").is_file()


def test_without_images_held_out_the_last_model_is_the_result(tokenizer, photos, tmp_path):
    looped = with_turns(tokenizer, latents_of(tokenizer))
    save_tokenizer(tmp_path / "best.safetensors", looped)  # of an earlier run
    images = Subset(open_image_set(photos), range(3))
    words = {"steps": 3, "batch_size": 4, "crop": 32, "quiet": True}
    tuned = finetune_decoder(looped, images, tmp_path, **words)
    assert model_identity(tuned) == model_identity(load_tokenizer(tmp_path / "last.safetensors"))
