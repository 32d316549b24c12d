import json

import pytest
import torch

from loopyvq.checkpoint import save_tokenizer
from loopyvq.codec import Codec
from loopyvq.errors import BitstreamError
from loopyvq.evaluation.rd_reader import FreshReader, serve
from tests.codec.conftest import make_image, make_tokenizer


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader")
    save_tokenizer(folder / "model.safetensors", make_tokenizer())
    data = Codec.load(folder / "model.safetensors").compress(make_image(33, 41), 0.4)
    (folder / "good.lvq").write_bytes(data)
    (folder / "bad.lvq").write_bytes(data[:-1])
    return folder


def test_a_fresh_process_decodes_the_same(files):
    model = files / "model.safetensors"
    here = Codec.load(model).decompress((files / "good.lvq").read_bytes())
    with FreshReader() as reader:
        assert torch.equal(reader.read(model, files / "good.lvq"), here)
        with pytest.raises(BitstreamError, match=r"bad\.lvq: .* are left"):
            reader.read(model, files / "bad.lvq")
        assert torch.equal(reader.read(model, files / "good.lvq"), here)
        reader._process.kill()
        reader._process.wait()
        with pytest.raises(BitstreamError, match="has died"):
            reader.read(model, files / "good.lvq")


def test_answers_are_a_line_and_the_pixels(files):
    words = [[str(files / "model.safetensors"), str(files / name)] for name in ("good.lvq", "no")]
    found, missing = serve(json.dumps(pair).encode() for pair in words)
    head, _, pixels = found.partition(b"\n")
    assert json.loads(head) == {"shape": [3, 33, 41]}
    assert len(pixels) == 3 * 33 * 41
    assert "No such file" in json.loads(missing)["error"]
